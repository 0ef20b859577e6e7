"""The routing policy: how a score becomes a tier.

Pure on purpose. Nothing here knows where scores come from or where queries go, so that the rule that spends the
money can be read, and tested, in one sitting.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from steersman.router.model import Fallback, Needs, Policy, Reason, Scored, Tier
from steersman.runtime.errors import InvalidRequest

Choice = tuple[str, Reason]
"""A tier's name, and why it was chosen."""


def tier_index(score: float, boundaries: Sequence[float]) -> int:
    """Position of the cheapest tier that a score allows: the number of boundaries at or below it.

    The rule of RouteLLM (arXiv 2406.18665, section 2.2) for an ordered list of tiers: a query moves up when its
    score is at or over the boundary.
    """
    return bisect_right(boundaries, score)


def choose(
    policy: Policy,
    *,
    boundaries: Sequence[float],
    scored: Scored,
    stand_in: Callable[[], float],
    tiers: Mapping[str, Tier],
    needs: Needs,
) -> Choice:
    """Choose the cheapest tier that the score allows and that can serve the request.

    Args:
        policy: The rule.
        boundaries: The policy's, or the caller's own.
        scored: The classifier's output, or why there is none.
        stand_in: Gives a number that is uniform in [0, 1) over texts and the same for the same text; it takes the
            score's place in a proportional fallback.
        tiers: The catalogue.
        needs: What the request demands.

    Raises:
        InvalidRequest: No tier of the policy can serve the request.
    """
    wanted, reason = _wanted(policy, boundaries, scored, stand_in)
    order = [policy.tiers[wanted], *policy.tiers[wanted + 1 :], *reversed(policy.tiers[:wanted])]
    for name in order:
        if tiers[name].capabilities.missing(needs) is None:
            return name, reason if name == order[0] else Reason.CAPABILITY
    raise _incapable(f"no tier of policy {policy.name} can", tiers[policy.tiers[-1]], needs)


def override(name: str, *, tiers: Mapping[str, Tier], needs: Needs) -> Choice:
    """Take the tier that the caller named.

    Raises:
        InvalidRequest: It cannot serve the request.
    """
    if tiers[name].capabilities.missing(needs) is not None:
        raise _incapable(f"tier {name} cannot", tiers[name], needs)
    return name, Reason.OVERRIDE


def alternatives(policy: Policy, tier: str, *, tiers: Mapping[str, Tier], needs: Needs) -> list[str]:
    """Tiers that may answer when `tier` cannot be reached, the best first: dearer ones, then cheaper ones."""
    if not policy.tier_fallback:
        return []
    at = policy.tiers.index(tier)
    order = [*policy.tiers[at + 1 :], *reversed(policy.tiers[:at])]
    return [name for name in order if tiers[name].capabilities.missing(needs) is None]


def _wanted(
    policy: Policy, boundaries: Sequence[float], scored: Scored, stand_in: Callable[[], float]
) -> tuple[int, Reason]:
    if len(policy.tiers) == 1:
        return 0, Reason.SINGLE_TIER
    if scored.assessment is not None:
        return tier_index(scored.assessment.score, boundaries), Reason.SCORE
    reason = scored.failure or Reason.CLASSIFIER_UNAVAILABLE
    if policy.fallback is Fallback.PROPORTIONAL:
        # A score is a percentile, so that a uniform number in its place sends the planned share to each tier.
        return tier_index(stand_in(), boundaries), reason
    return (len(policy.tiers) - 1 if policy.fallback is Fallback.STRONG else 0), reason


def _incapable(who: str, tier: Tier, needs: Needs) -> InvalidRequest:
    missing = tier.capabilities.missing(needs)
    return InvalidRequest("messages", f"{who} serve this request: {missing}", reason="CAPABILITY")
