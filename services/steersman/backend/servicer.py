"""BackendService on gRPC: protobuf in, protobuf out, no decisions."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.backend import openai_body
from steersman.backend.serving import Serving

_Context = grpc.aio.ServicerContext[Any, Any]


class BackendServicer(backend_service_pb2_grpc.BackendServiceServicer):
    """Translates for `Serving`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def Generate(
        self, request: pb.GenerateRequest, context: _Context
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Answer a chat completion request."""
        answer = self._serving.generate(
            openai_body.parse(request.openai_body),
            seconds_left=context.time_remaining(),
            tenant=request.tenant,
            weight=_weight(request.weight),
        )
        async with aclosing(answer):
            async for chunks in answer:
                yield pb.GenerateResponse(openai_chunks=chunks)

    async def GetLoad(
        self,
        request: pb.GetLoadRequest,  # noqa: ARG002 - empty
        context: _Context,  # noqa: ARG002 - not needed
    ) -> pb.GetLoadResponse:
        """Say how busy this backend is."""
        load = self._serving.load()
        return pb.GetLoadResponse(
            waiting=load.waiting,
            running=load.running,
            slots=load.slots,
            tokens_per_second=load.tokens_per_second,
            draining=load.draining,
        )

    async def GetModel(
        self,
        request: pb.GetModelRequest,  # noqa: ARG002 - empty
        context: _Context,  # noqa: ARG002 - not needed
    ) -> pb.GetModelResponse:
        """Say what the engine serves."""
        served = self._serving.model()
        return pb.GetModelResponse(
            model=served.name,
            tier=self._serving.tier,
            context_window=served.context_window,
            slots=self._serving.load().slots,
        )


def _weight(given: float) -> float:
    """A tenant's weight; that of all where it is absent, or no weight."""
    return given if math.isfinite(given) and given > 0 else 1.0
