"""Tiers and policies to test with: two tiers, weak and strong, and a policy between them, unless a test says more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from steersman.router.model import (
    Capabilities,
    Catalogue,
    Fallback,
    OutOfDomain,
    Policy,
    PolicyResource,
    Price,
    Sticky,
    Tier,
    UpstreamSpec,
    WhenCold,
)

THRESHOLD: Final = 0.7


def a_tier(
    name: str = "weak",
    *,
    price: float = 1.0,
    context_window: int = 8192,
    images: bool = False,
    tools: bool = True,
    json_schema: bool = True,
) -> Tier:
    """A tier whose tokens cost `price` dollars per million for the request, and twice as much for the answer."""
    return Tier(
        name=name,
        model=f"{name}-model",
        upstream=UpstreamSpec("backend", f"{name}:9001"),
        price=Price(price, 2 * price, joules_per_output_token=price),
        capabilities=Capabilities(context_window, images, tools, json_schema),
    )


def a_policy(
    name: str = "auto",
    *,
    tiers: Sequence[str] = ("weak", "strong"),
    boundaries: Sequence[float] = (THRESHOLD,),
    fallback: Fallback = Fallback.PROPORTIONAL,
    out_of_domain: OutOfDomain | None = OutOfDomain(),  # noqa: B008 - a value
    tier_fallback: bool = True,
    when_cold: WhenCold = WhenCold.OTHER,
    sticky: Sticky | None = Sticky(),  # noqa: B008 - a value
    resource: PolicyResource | None = None,
) -> Policy:
    """A policy over tiers."""
    return Policy(
        name,
        "v-of-" + name,
        tuple(tiers),
        tuple(boundaries),
        fallback,
        out_of_domain,
        tier_fallback,
        when_cold,
        sticky,
        resource,
    )


def a_resource(name: str = "auto", *, generation: int = 1, uid: str = "") -> PolicyResource:
    """A generation of a RoutingPolicy resource."""
    return PolicyResource("models", name, uid or f"uid-of-{name}", generation)


def a_catalogue(*policies: Policy, tiers: Sequence[Tier] = ()) -> Catalogue:
    """A catalogue of the policies given, the first of which is the default."""
    tiers = tiers or (a_tier("weak"), a_tier("strong", price=10.0, images=True))
    policies = policies or (a_policy(),)
    return Catalogue(
        tiers={tier.name: tier for tier in tiers},
        policies={policy.name: policy for policy in policies},
        default_policy=policies[0].name,
    )
