"""A router's policy service, really on the wire, that reports what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from steersman.api.v1 import decision_pb2, policy_service_pb2 as pb, policy_service_pb2_grpc
from steersman.controller.model import Report


class _Servicer(policy_service_pb2_grpc.PolicyServiceServicer):
    def __init__(self, response: pb.ReportPoliciesResponse) -> None:
        self.response = response
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def ReportPolicies(  # noqa: N802 - the protocol names it
        self, request: pb.ReportPoliciesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReportPoliciesResponse:
        del request, context
        await self.goes_on.wait()
        return self.response


@dataclass
class PolicyServer:
    """A router that has policies and nothing else."""

    address: str = "127.0.0.1:0"
    _servicer: _Servicer = field(init=False)
    _server: grpc.aio.Server = field(init=False)

    async def start(self, report: Report) -> None:
        """Serve, at the same address as before."""
        self._servicer = _Servicer(response_of(report))
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(self._servicer, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address)}"
        await self._server.start()

    def say(self, report: Report) -> None:
        """Report this from now on."""
        self.answer(response_of(report))

    def answer(self, response: pb.ReportPoliciesResponse) -> None:
        """Answer this from now on."""
        self._servicer.response = response

    def stall(self) -> None:
        """Take questions and answer none."""
        self._servicer.goes_on.clear()

    async def die(self) -> None:
        """Be gone."""
        await self._server.stop(None)


@asynccontextmanager
async def policy_server(report: Report) -> AsyncIterator[PolicyServer]:
    """One that serves while the context lasts."""
    server = PolicyServer()
    await server.start(report)
    try:
        yield server
    finally:
        await server.die()


@asynccontextmanager
async def serving(servicer: policy_service_pb2_grpc.PolicyServiceServicer) -> AsyncIterator[str]:
    """A servicer on the wire while the context lasts; yields HOST:PORT."""
    server = grpc.aio.server()
    policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def response_of(report: Report) -> pb.ReportPoliciesResponse:
    """What a router sends that has this to report; a resource is named `auto`, and the file's policy `other`."""
    response = pb.ReportPoliciesResponse(replica=report.replica)
    if report.classifier is not None:
        response.classifier.CopyFrom(
            decision_pb2.Classifier(
                name=report.classifier.name,
                version=report.classifier.version,
                artefact_digest=report.classifier.artefact_digest,
            )
        )
    response.policies.add(name="other", version="f1", source=pb.POLICY_SOURCE_FILE, boundaries=[0.5])
    for uid, held in report.held.items():
        response.policies.add(
            name="auto",
            version=held.version,
            source=pb.POLICY_SOURCE_RESOURCE,
            resource=pb.PolicyResource(namespace="models", name="auto", uid=uid, generation=held.generation),
            boundaries=held.boundaries,
            tiers=[
                pb.TierDecisions(tier=each.tier, wanted_total=each.wanted, answered_total=each.answered)
                for each in held.decisions
            ],
        )
    for uid, refusal in report.refused.items():
        response.refused.add(
            resource=pb.PolicyResource(
                namespace="models", name="auto", uid=uid, generation=refusal.generation
            ),
            reason=refusal.reason,
            generation_in_force=refusal.generation_in_force,
        )
    return response
