"""The routing policy: how a score becomes a tier.

Pure on purpose. Nothing here knows where scores come from or where queries go, so that the rule that spends the
money can be read, and tested, in one sitting.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steersman.router.model import (
    Assessment,
    Fallback,
    Needs,
    OutOfDomain,
    Policy,
    Reason,
    Scored,
    Sticky,
    Tier,
)
from steersman.runtime.errors import InvalidRequest

Choice = tuple[str, Reason]
"""A tier's name, and why it was chosen."""


@dataclass(frozen=True, slots=True)
class Before:
    """Where a conversation stands."""

    tier: str
    same_turn: bool
    """Whether this request only goes on with the turn before, by bringing a tool's result."""


def tier_index(score: float, boundaries: Sequence[float]) -> int:
    """Position of the cheapest tier that a score allows: the number of boundaries at or below it.

    The rule of RouteLLM (arXiv 2406.18665, section 2.2) for an ordered list of tiers: a query moves up when its
    score is at or over the boundary.
    """
    return bisect_right(boundaries, score)


def stand_in_of(text: str) -> float:
    """A number that is uniform in [0, 1) over texts, and the same for the same text on every replica.

    A score is a percentile, so that this in its place sends the planned share to each tier. Lone surrogates, which no
    UTF-8 text holds, are taken for question marks, as the classifier takes them.
    """
    return (
        int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=7).digest()) >> 3
    ) / 2**53


def place(
    assessment: Assessment, out_of_domain: OutOfDomain | None, stand_in: Callable[[], float]
) -> tuple[float, Reason]:
    """What is held against the boundaries, and why: the score, or what the rule for queries out of domain has instead.

    It is beyond all boundaries where the rule names the dearest or the cheapest tier.
    """
    if out_of_domain is not None and out_of_domain.covers(assessment):
        return _instead(out_of_domain.rule, stand_in), Reason.OUT_OF_DOMAIN
    return assessment.score, Reason.SCORE


def choose(
    policy: Policy,
    *,
    boundaries: Sequence[float],
    scored: Scored,
    stand_in: Callable[[], float],
    tiers: Mapping[str, Tier],
    needs: Needs,
    before: Before | None = None,
) -> Choice:
    """Choose the cheapest tier that the score and the conversation allow and that can serve the request.

    Args:
        policy: The rule.
        boundaries: The policy's, or the caller's own.
        scored: The classifier's output, or why there is none.
        stand_in: Gives the text's own, which takes the score's place where the policy decides proportionally.
        tiers: The catalogue.
        needs: What the request demands.
        before: Where the conversation stands; None for one that is new or not known.

    Raises:
        InvalidRequest: No tier of the policy can serve the request.
    """
    wanted, reason = _wanted(policy, boundaries, scored, stand_in, before)
    order = [policy.tiers[wanted], *policy.tiers[wanted + 1 :], *reversed(policy.tiers[:wanted])]
    for name in order:
        if tiers[name].capabilities.missing(needs) is None:
            return name, reason if name == order[0] else Reason.CAPABILITY
    raise _incapable(f"no tier of policy {policy.name} can", tiers[policy.tiers[-1]], needs)


def within_budget(policy: Policy, tier: str, *, tiers: Mapping[str, Tier], needs: Needs) -> str | None:
    """The dearest tier cheaper than one whose calls are spent that can serve the request; None where there is none."""
    cheaper = policy.tiers[: policy.tiers.index(tier)]
    return next((name for name in reversed(cheaper) if tiers[name].capabilities.missing(needs) is None), None)


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
    policy: Policy,
    boundaries: Sequence[float],
    scored: Scored,
    stand_in: Callable[[], float],
    before: Before | None,
) -> tuple[int, Reason]:
    if len(policy.tiers) == 1:
        return 0, Reason.SINGLE_TIER
    if scored.assessment is not None:
        at, reason = place(scored.assessment, policy.out_of_domain, stand_in)
    else:
        at, reason = _instead(policy.fallback, stand_in), scored.failure or Reason.CLASSIFIER_UNAVAILABLE
    wanted = tier_index(at, boundaries)
    if policy.sticky is None or before is None or before.tier not in policy.tiers:
        return wanted, reason
    stays = scored.assessment is None or before.same_turn
    kept = policy.tiers.index(before.tier)
    moved = kept if stays else _moved(policy.sticky, kept, at, boundaries)
    return moved, reason if moved == wanted else Reason.SESSION


def _moved(sticky: Sticky, kept: int, at: float, boundaries: Sequence[float]) -> int:
    """Where a conversation goes from the tier that it has: over a boundary only when it is well beyond it."""
    up = tier_index(at - sticky.hysteresis, boundaries)
    if up > kept:
        return up
    return min(kept, tier_index(at + sticky.hysteresis, boundaries)) if sticky.downward else kept


def _instead(rule: Fallback, stand_in: Callable[[], float]) -> float:
    if rule is Fallback.PROPORTIONAL:
        return stand_in()
    return math.inf if rule is Fallback.STRONG else -math.inf


def _incapable(who: str, tier: Tier, needs: Needs) -> InvalidRequest:
    missing = tier.capabilities.missing(needs)
    return InvalidRequest("messages", f"{who} serve this request: {missing}", reason="CAPABILITY")
