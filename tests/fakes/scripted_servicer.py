"""A BackendService that does what the test wrote down, to look at what a server adds around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace

from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc


@dataclass
class ScriptedServicer(backend_service_pb2_grpc.BackendServiceServicer):
    """Raises `error` in every method, after `chunks` in the one that streams, and after `held` if that is set."""

    error: BaseException | None = None
    chunks: Sequence[bytes] = (b"1", b"2")
    held: asyncio.Event | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    spans: list[trace.SpanContext] = field(default_factory=list)

    async def Generate(  # noqa: N802 - the rpc's name
        self, request: pb.GenerateRequest, context: Any
    ) -> AsyncIterator[pb.GenerateResponse]:
        del request, context
        try:
            for chunk in self.chunks:
                yield pb.GenerateResponse(openai_chunks=[chunk])
            await self._play()
        finally:
            self.ended.set()

    async def GetLoad(  # noqa: N802 - the rpc's name
        self, request: pb.GetLoadRequest, context: Any
    ) -> pb.GetLoadResponse:
        del request, context
        try:
            await self._play()
        finally:
            self.ended.set()
        return pb.GetLoadResponse(running=1)

    async def _play(self) -> None:
        self.spans.append(trace.get_current_span().get_span_context())
        self.began.set()
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
