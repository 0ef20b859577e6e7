"""Every listener of a process is reached at the address that it says, of whichever IP version."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from steersman.router.http_door import Door
from steersman.router.http_server import serving
from steersman.runtime.health import Health
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import grpc_server, health_server
from steersman.runtime.settings import GrpcServer, HealthServer


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = [
    pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "[::]:0"]),
    pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6"),
]


async def _is_healthy(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        untyped: Any = channel  # the stub's type information knows no asyncio
        stub: Any = health_pb2_grpc.HealthStub(untyped)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status


async def test_grpc_is_and_so_is_the_port_for_probes(address: str) -> None:
    health = Health()
    async with health_server(HealthServer(address=address), health) as probed:
        settings = GrpcServer(address=address, drain_seconds=1)
        async with grpc_server(
            settings, metrics=ProcessMetrics(), services=[], register=lambda _: None, health=health
        ) as called:
            assert probed is not None
            assert [await _is_healthy(probed), await _is_healthy(called)] == [True, True]
            assert called.rpartition(":")[0] == address.rpartition(":")[0]


async def test_http_is(address: str) -> None:
    application = web.Application()
    door = Door(lets_in=lambda: True, on_turned_away=lambda: None, max_age_seconds=10.0)
    async with serving(web.AppRunner(application), door, address, None) as called:
        assert await _status(f"http://{called}/") == HTTPStatus.NOT_FOUND
        assert called.rpartition(":")[0] == address.rpartition(":")[0]


async def test_the_metrics_are(address: str) -> None:
    async with metrics_server(address, ProcessMetrics()) as called:
        assert await _status(f"http://{called}/metrics") == HTTPStatus.OK
        assert called.rpartition(":")[0] == address.rpartition(":")[0]
