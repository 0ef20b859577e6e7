"""What the model that a request names stands for, among all that its tenant may use. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from steersman.router.model import Catalogue, Policy, Rights
from steersman.runtime.errors import InvalidRequest, UnknownModel


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the request's model stands for: a policy, and the one tier of it that the caller insists on, if any."""

    policy: Policy
    tier: str | None
    boundaries: tuple[float, ...]


def chosen(catalogue: Catalogue, rights: Rights, name: str, threshold: float | None) -> Chosen:
    """What the model's name stands for.

    Args:
        catalogue: All that there is.
        rights: What of it the tenant may use.
        name: The request's model; empty for the default policy.
        threshold: The caller's own, if any.

    Raises:
        UnknownModel: It is the name of no policy and of no tier that the tenant may use.
        InvalidRequest: The threshold is out of range, or the policy has no single boundary.
    """
    if threshold is not None and not 0.0 <= threshold <= 1.0:  # NaN is not
        raise InvalidRequest("threshold", "must be a number from 0 to 1")
    name = name or rights.default_policy or catalogue.default_policy
    policy = catalogue.policies.get(name)
    if policy is None or not rights.allow_policy(policy):
        tier = _tier_named(catalogue, name, rights)
        return Chosen(Policy("", "", (tier,), ()), tier, ())
    if threshold is None:
        return Chosen(policy, None, policy.boundaries)
    if len(policy.boundaries) != 1:
        raise InvalidRequest("threshold", f"policy {policy.name} does not have exactly two tiers")
    return Chosen(policy, None, (threshold,))


def _tier_named(catalogue: Catalogue, name: str, rights: Rights) -> str:
    """The tier of this name, or else the first one whose model has it, among those that the tenant may use."""
    allowed = [tier for tier in catalogue.tiers.values() if rights.allow_tier(tier.name)]
    for called in (attrgetter("name"), attrgetter("model")):
        for tier in allowed:
            if called(tier) == name:
                return tier.name
    known = ", ".join(model_names(catalogue, rights)) or "none for this tenant"
    raise UnknownModel("model", f"no policy or tier has this name; there are {known}")


def model_names(catalogue: Catalogue, rights: Rights) -> list[str]:
    """What a tenant may give as the model: policies first."""
    policies = [name for name, policy in catalogue.policies.items() if rights.allow_policy(policy)]
    return [*policies, *filter(rights.allow_tier, catalogue.tiers)]
