"""DecisionService: what callers ask and tell about their own decisions, over gRPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from steersman.api.v1 import decision_service_pb2 as pb, decision_service_pb2_grpc
from steersman.router import messages
from steersman.router.callers import Callers
from steersman.router.decisions import Decisions
from steersman.router.edges import shown_by_call

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class DecisionServicer(decision_service_pb2_grpc.DecisionServiceServicer):
    """Serves `steersman.api.v1.DecisionService`.

    Args:
        decisions: Remembers them.
        callers: Knows who calls.
    """

    decisions: Decisions
    callers: Callers

    async def ExplainDecision(
        self, request: pb.ExplainDecisionRequest, context: _Context
    ) -> pb.ExplainDecisionResponse:
        """Why this tier."""
        caller = await self.callers.identify(shown_by_call(context))
        return messages.explanation(await self.decisions.find(request.id, caller=caller))

    async def SubmitFeedback(
        self, request: pb.SubmitFeedbackRequest, context: _Context
    ) -> pb.SubmitFeedbackResponse:
        """How good the answer was."""
        caller = await self.callers.identify(shown_by_call(context))
        quality = request.quality if request.HasField("quality") else None
        await self.decisions.rate(request.id, quality, caller=caller)
        return pb.SubmitFeedbackResponse()
