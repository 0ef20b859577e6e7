"""Which policies are in force: those of the file, overridden by resources of the same name.

Pure on purpose. A resource that cannot be used is refused alone: the generation of it that was in force stays, or else
the file's policy decides. The file has the tiers and the default policy, so that a router works without a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from steersman.router.model import Catalogue, Policy, PolicyResource, Refusal

Offer = Policy | Refusal
"""What a resource came to when it was read: a policy that names its resource, or why it is none."""


def merge(file: Catalogue, offers: Iterable[Offer], *, before: Catalogue) -> Catalogue:
    """The catalogue to be put in force.

    Args:
        file: As the policy file has it.
        offers: All resources that there are, each of another name.
        before: The catalogue in force until now.
    """
    policies, refused = dict(file.policies), []
    for offer in offers:
        resource, fault = _judged(offer, file)
        chosen = offer if fault is None else _older(resource, file, before)
        if isinstance(chosen, Policy):
            policies[resource.name] = chosen
        if fault is not None:
            in_force = chosen.resource.generation if isinstance(chosen, Policy) and chosen.resource else 0
            refused.append(Refusal(resource, fault, in_force))
    return replace(file, policies=policies, refused=tuple(refused))


def _judged(offer: Offer, file: Catalogue) -> tuple[PolicyResource, str | None]:
    """The offer's resource, and what is wrong with it."""
    if isinstance(offer, Refusal):
        return offer.resource, offer.reason
    if offer.resource is None:
        raise ValueError(f"policy {offer.name} names no resource")
    return offer.resource, _fault(offer, file)


def _fault(policy: Policy, file: Catalogue) -> str | None:
    if policy.name in file.tiers:
        return f"{policy.name} is the name of a tier already; rename the policy"
    unknown = [tier for tier in policy.tiers if tier not in file.tiers]
    if unknown:
        return f"there is no tier {' and no tier '.join(unknown)}; there are {', '.join(file.tiers)}"
    return None


def _older(resource: PolicyResource, file: Catalogue, before: Catalogue) -> Policy | None:
    """The generation of a resource that was in force, if it can stay."""
    held = before.policies.get(resource.name)
    if held is None or held.resource is None or held.resource.uid != resource.uid:
        return None
    return held if _fault(held, file) is None else None
