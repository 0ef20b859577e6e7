"""A caller of a backend, as the router is one: over real gRPC, with short names for what tests do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import grpc
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.runtime import errors, rpc_errors

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Caller:
    """A caller of a running backend; addresses are HOST:PORT."""

    def __init__(self, grpc_address: str, metrics_address: str) -> None:
        channel = self.channel = grpc.aio.insecure_channel(grpc_address)
        self._metrics_address = metrics_address
        self.stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        self.health_stub: Any = health_pb2_grpc.HealthStub(channel)  # its type information has no methods

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.channel.close()

    def generate(self, *, timeout: float | None = 10, **fields: Any) -> Any:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True, **fields}
        request = pb.GenerateRequest(openai_body=orjson.dumps(body))
        return self.stub.Generate(request, timeout=timeout)

    async def chunks(self, **fields: Any) -> list[bytes]:
        return [chunk async for response in self.generate(**fields) for chunk in response.openai_chunks]

    async def error(self, **fields: Any) -> errors.Error:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.chunks(**fields)
        return rpc_errors.from_rpc_error(caught.value)

    async def load(self) -> pb.GetLoadResponse:
        load: pb.GetLoadResponse = await self.stub.GetLoad(pb.GetLoadRequest(), timeout=5)
        return load

    async def until(self, holds: Callable[[pb.GetLoadResponse], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds(await self.load()):  # noqa: ASYNC110 - the load is only told when asked for
                await asyncio.sleep(0.01)

    async def health(self, service: str) -> int:
        request = health_pb2.HealthCheckRequest(service=service)
        return int((await self.health_stub.Check(request, timeout=5)).status)

    async def until_health(self, service: str, status: int) -> None:
        watch = self.health_stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=30)
        async for response in watch:
            if response.status == status:
                break
        watch.cancel()

    async def metrics(self) -> str:
        url = f"http://{self._metrics_address}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()
