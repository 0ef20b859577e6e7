"""A router's report over gRPC.

Each question has a connection of its own: they are seconds apart, and one that has died without a word would keep a
channel busy for longer than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc

from steersman.api.v1 import decision_pb2, policy_service_pb2 as pb, policy_service_pb2_grpc
from steersman.controller.model import Classifier, Decisions, Held, Refusal, Report
from steersman.controller.ports import RouterLost
from steersman.runtime import tls
from steersman.runtime.tls import PLAIN, Wire

_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


@dataclass(frozen=True, slots=True)
class RouterClient:
    """Implements `steersman.controller.ports.RouterReports`.

    Args:
        timeout_seconds: What a router has for its answer, the connection included.
        wire: How this process speaks.
        name: What a router's certificate must be for.
    """

    timeout_seconds: float = 2.0
    wire: Wire = PLAIN
    name: str | None = None

    async def report(self, address: str) -> Report:
        """See `steersman.controller.ports.RouterReports.report`."""
        async with tls.channel(self.wire, address, name=self.name, options=_OPTIONS) as channel:
            stub = policy_service_pb2_grpc.PolicyServiceStub(channel)
            try:
                response = await stub.ReportPolicies(pb.ReportPoliciesRequest(), timeout=self.timeout_seconds)
            except grpc.aio.AioRpcError as error:
                raise RouterLost(f"{error.code().name}: {error.details()}") from error
        if response is None:  # what gRPC makes of bytes that are no message
            raise RouterLost("what came is no report")
        return _report(response)


def _report(response: pb.ReportPoliciesResponse) -> Report:
    return Report(
        response.replica,
        _classifier(response.classifier) if response.HasField("classifier") else None,
        {each.resource.uid: _held(each) for each in response.policies if each.HasField("resource")},
        {
            each.resource.uid: Refusal(each.resource.generation, each.reason, each.generation_in_force)
            for each in response.refused
        },
    )


def _classifier(message: decision_pb2.Classifier) -> Classifier:
    return Classifier(message.name, message.version, message.artefact_digest)


def _held(message: pb.HeldPolicy) -> Held:
    # One router's fault must not hide what the others count, as a number below zero would.
    decisions = (
        Decisions(each.tier, max(0, each.wanted_total), max(0, each.answered_total)) for each in message.tiers
    )
    return Held(message.resource.generation, message.version, tuple(message.boundaries), tuple(decisions))
