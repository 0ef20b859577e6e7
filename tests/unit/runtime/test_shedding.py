"""What becomes of requests when more come than a process can take up, and what is told of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import grpc
import pytest
from hypothesis import given, strategies as st

from fakes.scripted_servicer import ScriptedServicer
from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.runtime import shedding
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.server import grpc_server
from steersman.runtime.settings import GrpcServer
from steersman.runtime.shedding import Shed

_ROOM = 8
_NEXT = 1
"""The one that gRPC has been asked for waits besides."""


def test_what_waits_is_not_counted_as_shed() -> None:
    shed = Shed(_ROOM)
    assert shed.note(begun=100 + _ROOM, taken=100) == 0


def test_what_is_shed_is_told_once() -> None:
    shed = Shed(_ROOM)
    assert shed.note(begun=150, taken=100) == 50 - _ROOM
    assert shed.note(begun=150, taken=100) == 0
    assert shed.note(begun=170, taken=110) == 10


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2 * _ROOM)), max_size=50))
def test_what_is_told_is_never_further_from_what_was_shed_than_the_room(
    steps: list[tuple[int, int, int]],
) -> None:
    shed, taken, lost = Shed(_ROOM), 0, 0
    for new, cancelled, waits in steps:
        taken += new
        lost += cancelled
        shed.note(begun=taken + lost + waits, taken=taken)
        assert abs(shed.total - lost) <= _ROOM


async def test_when_too_many_wait_those_without_room_are_cancelled_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shedding, "LOOK_SECONDS", 0.01)
    told: list[int] = []
    seen = asyncio.Event()

    def on_shed(count: int) -> None:
        told.append(count)
        seen.set()

    metrics = ProcessMetrics()
    others = [grpc.aio.server() for _ in range(8)]  # such as the one for health
    server = grpc_server(
        GrpcServer(address="127.0.0.1:0", max_waiting_rpcs=_ROOM),
        metrics=metrics,
        services=(),
        register=lambda to: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
            ScriptedServicer(), to
        ),
        on_shed=on_shed,
    )
    async with server as address, grpc.aio.insecure_channel(address) as channel:
        await _ask(channel, 1)  # the connection is there
        outcomes = await _ask(channel, 100, busy_seconds=0.3)
        async with asyncio.timeout(5):
            while abs(sum(told) - outcomes["CANCELLED"]) > _ROOM + _NEXT:
                await seen.wait()
                seen.clear()
    assert set(outcomes) == {"OK", "CANCELLED"}
    assert _ROOM <= outcomes["OK"] <= 2 * _ROOM + _NEXT
    assert metrics.registry.get_sample_value("steersman_rpcs_shed_total") == sum(told)
    for other in others:
        await other.stop(None)


async def test_as_many_as_there_is_room_for_are_all_answered() -> None:
    settings = GrpcServer(address="127.0.0.1:0")
    server = grpc_server(
        settings,
        metrics=ProcessMetrics(),
        services=(),
        register=lambda to: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
            ScriptedServicer(), to
        ),
    )
    async with server as address, grpc.aio.insecure_channel(address) as channel:
        await _ask(channel, 1)
        assert await _ask(channel, settings.max_waiting_rpcs, busy_seconds=0.3) == {"OK": 256}


async def _ask(channel: grpc.aio.Channel, count: int, *, busy_seconds: float = 0.0) -> Counter[str]:
    """What so many requests at once come to, while the server's loop, which is this one, is busy."""
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    calls: list[Any] = [stub.GetLoad(pb.GetLoadRequest(), timeout=10) for _ in range(count)]
    await asyncio.sleep(0)  # all have been sent
    time.sleep(busy_seconds)  # noqa: ASYNC251 - it is what the loop does that is meant
    return Counter([(await call.code()).name for call in calls])
