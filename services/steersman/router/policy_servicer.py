"""PolicyService: what this replica decides by, for the controller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from steersman.api.v1 import policy_service_pb2 as pb, policy_service_pb2_grpc
from steersman.router import messages
from steersman.router.model import Catalogue, ClassifierId, Policy, PolicyResource
from steersman.router.tally import Tally


@dataclass(frozen=True, slots=True)
class PolicyServicer(policy_service_pb2_grpc.PolicyServiceServicer):
    """Serves `steersman.api.v1.PolicyService`.

    Args:
        catalogue: Gives the catalogue in force.
        classifier: Gives the classifier that answers; None until it has been reached once.
        tally: What the policies have decided.
        replica: Identifies this process.
    """

    catalogue: Callable[[], Catalogue]
    classifier: Callable[[], ClassifierId | None]
    tally: Tally
    replica: str

    async def ReportPolicies(
        self, request: pb.ReportPoliciesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ReportPoliciesResponse:
        """The policies in force, and the resources that were refused."""
        del request, context
        catalogue, classifier = self.catalogue(), self.classifier()
        return pb.ReportPoliciesResponse(
            replica=self.replica,
            classifier=messages.classifier(classifier) if classifier else None,
            policies=[self._held(policy) for policy in catalogue.policies.values()],
            refused=[
                pb.RefusedPolicy(
                    resource=_resource(refusal.resource),
                    reason=refusal.reason,
                    generation_in_force=refusal.generation_in_force,
                )
                for refusal in catalogue.refused
            ],
        )

    def _held(self, policy: Policy) -> pb.HeldPolicy:
        of_file = policy.resource is None
        return pb.HeldPolicy(
            name=policy.name,
            version=policy.version,
            source=pb.POLICY_SOURCE_FILE if of_file else pb.POLICY_SOURCE_RESOURCE,
            resource=_resource(policy.resource) if policy.resource else None,
            boundaries=policy.boundaries,
            tiers=[
                pb.TierDecisions(tier=tier, wanted_total=count.wanted, answered_total=count.answered)
                for tier, count in self.tally.of(policy).items()
            ],
        )


def _resource(resource: PolicyResource) -> pb.PolicyResource:
    return pb.PolicyResource(
        namespace=resource.namespace,
        name=resource.name,
        uid=resource.uid,
        generation=resource.generation,
    )
