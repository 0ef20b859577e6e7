"""What a router tells the controller."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest

from fakes.catalogue import a_catalogue, a_policy, a_resource
from fakes.classifier import IDENTITY
from steersman.api.v1 import decision_pb2, policy_service_pb2 as pb
from steersman.router.accounting import Record
from steersman.router.model import Catalogue, ClassifierId, Decision, Reason, Refusal, Scored
from steersman.router.policy_servicer import PolicyServicer
from steersman.router.tally import Tally

NO_CONTEXT = cast("grpc.aio.ServicerContext[Any, Any]", None)
OF_FILE = a_policy("auto")
OF_RESOURCE = a_policy("careful", boundaries=[0.25], resource=a_resource("careful", generation=3))


async def reported(
    catalogue: Catalogue, *, classifier: ClassifierId | None = None, tally: Tally | None = None
) -> pb.ReportPoliciesResponse:
    tally = tally or Tally()
    tally.keep(catalogue.policies.values())
    servicer = PolicyServicer(lambda: catalogue, lambda: classifier, tally, "replica-1")
    return await servicer.ReportPolicies(pb.ReportPoliciesRequest(), NO_CONTEXT)


async def test_policies_are_told_with_their_source() -> None:
    told = await reported(a_catalogue(OF_FILE, OF_RESOURCE))
    assert told.replica == "replica-1"
    of_file, of_resource = told.policies
    assert (of_file.name, of_file.source) == ("auto", pb.POLICY_SOURCE_FILE)
    assert not of_file.HasField("resource")
    assert (of_resource.version, of_resource.source) == ("v-of-careful", pb.POLICY_SOURCE_RESOURCE)
    assert of_resource.resource == pb.PolicyResource(
        namespace="models", name="careful", uid="uid-of-careful", generation=3
    )


async def test_boundaries_are_told_as_they_are() -> None:
    (policy,) = (await reported(a_catalogue(a_policy(boundaries=[0.7])))).policies
    assert list(policy.boundaries) == [0.7]


async def test_the_classifier_is_told_once_it_is_known() -> None:
    assert not (await reported(a_catalogue())).HasField("classifier")
    told = await reported(a_catalogue(), classifier=IDENTITY)
    assert told.classifier == decision_pb2.Classifier(
        name=IDENTITY.name, version=IDENTITY.version, artefact_digest=IDENTITY.artefact_digest
    )


async def test_decisions_are_told_by_tier_in_order_of_cost() -> None:
    tally = Tally()
    tally.keep([OF_FILE])
    decision = Decision(
        "id", "weak", "strong", Reason.TIER_UNAVAILABLE, OF_FILE, (0.7,), Scored(), truncated=False
    )
    tally.closed(Record(decision=decision))
    (policy,) = (await reported(a_catalogue(OF_FILE), tally=tally)).policies
    assert list(policy.tiers) == [
        pb.TierDecisions(tier="weak", answered_total=1),
        pb.TierDecisions(tier="strong", wanted_total=1),
    ]


@pytest.mark.parametrize("in_force", [0, 2])
async def test_what_was_refused_is_told_with_the_reason_and_what_stays(in_force: int) -> None:
    catalogue = a_catalogue()
    refusal = Refusal(a_resource("auto", generation=4), "there is no tier mighty", in_force)
    (told,) = (await reported(Catalogue(catalogue.tiers, catalogue.policies, "auto", (refusal,)))).refused
    assert (told.resource.generation, told.generation_in_force) == (4, in_force)
    assert told.reason == "there is no tier mighty"
