"""How to ask a process whether it is ready. A probe never raises: what does not answer is not ready."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
import grpc
from grpc_health.v1 import health_pb2

Probe = Callable[[], Awaitable[bool]]

_SECONDS: Final = 1.0
"""Deadline of one question."""


def http_ok(url: str, *, ca_file: Path | None = None) -> Probe:
    """A probe for an HTTP server that answers 200 once it is ready.

    Args:
        url: What is asked for.
        ca_file: Authorities that its certificate may be by; the system's where None.
    """
    trusted = True if ca_file is None else ssl.create_default_context(cafile=ca_file)

    async def probe() -> bool:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, ssl=trusted) as response,
            ):
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    return probe


def grpc_serving(address: str, *, service: str = "", seconds: float = _SECONDS) -> Probe:
    """A probe for a gRPC server with the standard health service; the empty name asks for the whole server."""

    async def probe() -> bool:
        async with grpc.aio.insecure_channel(address) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                response = await check(health_pb2.HealthCheckRequest(service=service), timeout=seconds)
            except grpc.aio.AioRpcError:
                return False
            return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    return probe


def redis_pong(port: int, *, socket: Path | None = None) -> Probe:
    """A probe for a server that speaks the Redis protocol, on a port or, where it is given, a Unix socket."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(_SECONDS):
                if socket is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                else:
                    reader, writer = await asyncio.open_unix_connection(socket)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    return probe
