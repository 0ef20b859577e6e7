"""A backend on the wire: a real gRPC server of BackendService in the test's loop, with a fake upstream behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import orjson

from fakes.upstream import FakeUpstream
from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.router.ports import Dispatch, Party
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.server import grpc_server
from steersman.runtime.settings import GrpcServer


@dataclass
class FakeBackend(backend_service_pb2_grpc.BackendServiceServicer):
    """Serves `steersman.api.v1.BackendService`; its knobs are those of `upstream`."""

    upstream: FakeUpstream = field(default_factory=FakeUpstream)
    address: str = ""

    async def Generate(  # noqa: N802 - as the protocol has it
        self, request: pb.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Answer as `upstream` does."""
        body = orjson.loads(request.openai_body)
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        left = cast("float | None", context.time_remaining())
        dispatch = Dispatch(
            request.openai_body,
            60.0 if left is None else left,
            headers,
            Party(request.tenant, request.weight),
        )
        if body.get("stream") is not True:
            yield pb.GenerateResponse(openai_chunks=[await self.upstream.complete(dispatch)])
            return
        async with aclosing(self.upstream.generate(dispatch)) as pieces:
            async for chunks in pieces:
                yield pb.GenerateResponse(openai_chunks=chunks)

    async def GetLoad(  # noqa: N802 - as the protocol has it
        self, _: pb.GetLoadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetLoadResponse:
        """Say how busy `upstream` says that it is."""
        says = self.upstream.says
        if says is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED)
        return pb.GetLoadResponse(
            waiting=says.waiting, running=says.running, slots=says.slots, draining=says.draining
        )


@asynccontextmanager
async def fake_backend() -> AsyncIterator[FakeBackend]:
    """A backend on a free port of loopback, while the context lasts."""
    backend = FakeBackend()

    def register(server: grpc.aio.Server) -> None:
        backend_service_pb2_grpc.add_BackendServiceServicer_to_server(backend, server)

    settings = GrpcServer(address="127.0.0.1:0", drain_seconds=0.05)
    async with grpc_server(settings, metrics=ProcessMetrics(), services=(), register=register) as address:
        backend.address = address
        yield backend
