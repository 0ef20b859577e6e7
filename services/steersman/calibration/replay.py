"""Decisions played back under another policy: who would have answered, at what cost, and how well.

What has no score to be decided anew by, or was not decided by its score, stays as it was: a tier that the caller named,
a caller's own threshold, a need that one tier alone could serve, a fallback (its stand-in is a hash of the text, which
no log holds). So does a query whose wanted tier is the same as before: what then happened to it would happen again.

A query that moves keeps its prompt tokens. Its answer is taken to be as long as the mean answer of the tier that it
moves to, or as its own where that tier has answered nothing. Two tiers' tokenizers are taken for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from steersman.calibration.bootstrap import Floats, Interval, Resampling, around
from steersman.calibration.decisions import Logged
from steersman.router.model import Price
from steersman.router.policy import tier_index

PER: Final = 1000
"""Costs are told for so many queries."""

_UNMOVED: Final = frozenset({"OVERRIDE", "SINGLE_TIER", "CAPABILITY"})
"""Reasons that have nothing to do with a boundary."""

Labels = Mapping[str, Mapping[str, float]]
"""Quality of answers, by decision id and tier."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The policy that is tried."""

    tiers: tuple[str, ...]
    """Cheapest first."""
    boundaries: tuple[float, ...]
    prices: Mapping[str, Price]
    """Of these tiers and all others that are known."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure as it was and as it would have been, each with its interval, and the difference with its own."""

    recorded: Interval
    replayed: Interval
    difference: Interval


@dataclass(frozen=True, slots=True)
class Replay:
    """What would have come of it."""

    decisions: int
    moved: int
    kept: dict[str, int]
    """Decisions that no boundary could move, by why."""
    shares: dict[str, Compared]
    """By tier."""
    answered: int
    """Decisions that an engine counted tokens for: those that have a cost."""
    usd: Compared
    """US dollars for `PER` queries, of those that were answered."""
    labelled: int
    """Decisions whose quality is known both as it was and as it would have been."""
    quality: Compared | None
    """Mean over those; None where there are none."""


def replay(decisions: Sequence[Logged], what_if: WhatIf, labels: Labels, resampling: Resampling) -> Replay:
    """Play decisions back.

    Args:
        decisions: Of one policy, at least one.
        what_if: What is tried.
        labels: What is known about quality.
        resampling: How intervals are found.
    """
    reasons = [_why_kept(each) for each in decisions]
    after = [each.tier if why else _tier(each, what_if) for each, why in zip(decisions, reasons, strict=True)]
    before = [each.tier for each in decisions]
    weights = np.array([each.weight for each in decisions])
    costs = _costs(decisions, after, what_if.prices)
    answered = np.array([each.answered for each in decisions])
    qualities = np.array(
        [_qualities(each, tier, labels) for each, tier in zip(decisions, after, strict=True)]
    )
    known = ~np.isnan(qualities).any(axis=1)
    tiers = (*what_if.tiers, *sorted({*before, *after} - set(what_if.tiers)))
    return Replay(
        decisions=len(decisions),
        moved=sum(one != other for one, other in zip(before, after, strict=True)),
        kept=dict(Counter(why for why in reasons if why)),
        shares={tier: _compare(_is(before, tier), _is(after, tier), weights, resampling) for tier in tiers},
        answered=int(answered.sum()),
        usd=_compare(costs[:, 0], costs[:, 1], weights * answered, resampling, scale=PER),
        labelled=int(known.sum()),
        quality=_of_known(qualities, weights * known, resampling) if known.any() else None,
    )


def _why_kept(decision: Logged) -> str:
    """Why no boundary moves it, for people; empty when one may."""
    if decision.reason in _UNMOVED:
        return decision.reason
    if not decision.scored:
        return "no score"
    return "the caller's own threshold" if decision.own_boundaries else ""


def _tier(decision: Logged, what_if: WhatIf) -> str:
    wanted = what_if.tiers[tier_index(decision.score, what_if.boundaries)]
    return decision.tier if wanted == decision.wanted_tier else wanted


def _costs(decisions: Sequence[Logged], after: Sequence[str], prices: Mapping[str, Price]) -> Floats:
    """US dollars as charged, and as they would have been; shape `(decisions, 2)`."""
    lengths = _mean_answers(decisions)
    costs = np.zeros((len(decisions), 2))
    for row, (each, tier) in enumerate(zip(decisions, after, strict=True)):
        own = float(each.completion_tokens)
        length = own if tier == each.tier else lengths.get(tier, own)
        price = prices.get(tier)
        costs[row] = each.usd, each.usd if price is None else _usd(price, each, length)
    return costs


def _usd(price: Price, decision: Logged, completion_tokens: float) -> float:
    if not decision.answered:
        return 0.0
    return price.usd(decision.prompt_tokens, round(completion_tokens))


def _mean_answers(decisions: Sequence[Logged]) -> dict[str, float]:
    """Mean tokens of an answer, by the tier that gave it."""
    sums: dict[str, tuple[float, float]] = {}
    for each in decisions:
        if each.answered:
            tokens, weight = sums.get(each.tier, (0.0, 0.0))
            sums[each.tier] = (tokens + each.weight * each.completion_tokens, weight + each.weight)
    return {tier: tokens / weight for tier, (tokens, weight) in sums.items()}


def _qualities(decision: Logged, after: str, labels: Labels) -> tuple[float, float]:
    known = labels.get(decision.id, {})
    return known.get(decision.tier, np.nan), known.get(after, np.nan)


def _of_known(qualities: Floats, weights: Floats, resampling: Resampling) -> Compared:
    before, after = np.nan_to_num(qualities).T
    return _compare(before, after, weights, resampling)


def _is(tiers: Sequence[str], tier: str) -> Floats:
    return np.array([each == tier for each in tiers], dtype=np.float64)


def _compare(
    before: Floats,
    after: Floats,
    weights: Floats,
    resampling: Resampling,
    *,
    scale: float = 1.0,
) -> Compared:
    """Weighted means, and how they differ; the same resamples for both."""
    rows = np.stack((before, after, after - before), axis=1) * scale
    values = _means(rows, weights)
    resampled = np.array([_means(rows, weights * counts) for counts in resampling.draws(len(rows))])
    recorded, replayed, difference = (around(float(values[n]), resampled[:, n]) for n in range(3))
    return Compared(recorded, replayed, difference)


def _means(rows: Floats, weights: Floats) -> Floats:
    total = weights.sum()
    return np.asarray(weights @ rows / total) if total else np.full(rows.shape[1], np.nan)
