"""Decisions played back under another policy: who would have answered, at what cost, and how well.

What has no score to be decided anew by, or was not decided by its score, stays as it was: a tier that the caller named,
a caller's own threshold, a need that one tier alone could serve, a fallback. So does a query whose wanted tier is the
same as before: what then happened to it would happen again, such as that another tier answered. A query out of domain
goes by the tried policy's rule for those, by lot where that is proportional.

A query that moves keeps its prompt tokens. Its answer is taken to be as long as the mean answer of the tier that it
moves to, or as its own where that tier has answered nothing. Two tiers' tokenizers are taken for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from steersman.calibration import out_of_domain
from steersman.calibration.bootstrap import Resampling, around
from steersman.calibration.decisions import Logged
from steersman.classifier.evaluation.bootstrap import Estimate, Floats
from steersman.router.model import OutOfDomain, Price, Reason
from steersman.router.policy import tier_index

PER: Final = 1000
"""Costs are told for so many queries."""

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
    out_of_domain: OutOfDomain | None = None


@dataclass(frozen=True, slots=True)
class _Figure:
    """A mean over decisions, as it was and as it would have been; shape `(decisions,)` each."""

    before: Floats
    after: Floats
    weights: Floats

    def sums(self) -> tuple[Floats, Floats, Floats]:
        """What the two means are quotients of: two numerators, and the denominator of both."""
        return self.before * self.weights, self.after * self.weights, self.weights


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure as it was and as it would have been, each with its interval, and the difference with its own."""

    recorded: Estimate
    replayed: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Replay:
    """What would have come of it."""

    decisions: int
    moved: int
    kept: dict[str, int]
    """Decisions that no boundary could move, by why."""
    out_of_domain: int
    """Of the others, those that the tried policy's rule for queries out of domain would have decided."""
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
    tiers = (*what_if.tiers, *sorted({*before, *after} - set(what_if.tiers)))
    usd, quality = _cost(decisions, after, what_if.prices), _quality(decisions, after, labels)
    *of_tiers, of_usd, of_quality = _compare(
        [*(_share(decisions, after, tier) for tier in tiers), usd, quality], resampling
    )
    labelled = int(np.count_nonzero(quality.weights))
    return Replay(
        decisions=len(decisions),
        moved=sum(one != other for one, other in zip(before, after, strict=True)),
        kept=dict(Counter(why for why in reasons if why)),
        out_of_domain=sum(
            out_of_domain.covers(each, what_if.out_of_domain)
            for each, why in zip(decisions, reasons, strict=True)
            if not why
        ),
        shares=dict(zip(tiers, of_tiers, strict=True)),
        answered=int(np.count_nonzero(usd.weights)),
        usd=of_usd,
        labelled=labelled,
        quality=of_quality if labelled else None,
    )


def _why_kept(decision: Logged) -> str:
    """Why no boundary moves it, for people; empty when one may."""
    if not decision.scored:
        return "no score"
    if decision.own_boundaries:
        return "the caller's own threshold"
    by_place = decision.wanted_for in {Reason.SCORE.name, Reason.OUT_OF_DOMAIN.name}
    return "" if by_place else decision.wanted_for


def _tier(decision: Logged, what_if: WhatIf) -> str:
    place = out_of_domain.place(decision, what_if.out_of_domain, what_if.tiers)
    wanted = what_if.tiers[tier_index(place, what_if.boundaries)]
    return decision.tier if wanted == decision.wanted_tier else wanted


def _share(decisions: Sequence[Logged], after: Sequence[str], tier: str) -> _Figure:
    before = np.array([each.tier == tier for each in decisions], dtype=np.float64)
    return _Figure(before, np.array([each == tier for each in after], dtype=np.float64), _weights(decisions))


def _cost(decisions: Sequence[Logged], after: Sequence[str], prices: Mapping[str, Price]) -> _Figure:
    """US dollars as charged, and as they would have been."""
    lengths = _mean_answers(decisions)
    replayed = np.zeros(len(decisions))
    for row, (each, tier) in enumerate(zip(decisions, after, strict=True)):
        own = float(each.completion_tokens)
        length = own if tier == each.tier else lengths.get(tier, own)
        price = prices.get(tier)
        replayed[row] = each.usd if price is None else _usd(price, each, length)
    recorded = np.array([each.usd for each in decisions])
    answered = np.array([each.answered for each in decisions])
    return _Figure(PER * recorded, PER * replayed, _weights(decisions) * answered)


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


def _quality(decisions: Sequence[Logged], after: Sequence[str], labels: Labels) -> _Figure:
    """Quality where it is known both ways; the others weigh nothing."""
    known = [labels.get(each.id, {}) for each in decisions]
    recorded = np.array([each.get(was.tier, np.nan) for each, was in zip(known, decisions, strict=True)])
    replayed = np.array([each.get(tier, np.nan) for each, tier in zip(known, after, strict=True)])
    both = ~np.isnan(recorded + replayed)
    return _Figure(np.nan_to_num(recorded), np.nan_to_num(replayed), _weights(decisions) * both)


def _weights(decisions: Sequence[Logged]) -> Floats:
    return np.array([each.weight for each in decisions])


def _compare(figures: Sequence[_Figure], resampling: Resampling) -> list[Compared]:
    """Weighted means, and how they differ; the same resamples for all of them."""
    sums = np.stack([column for figure in figures for column in figure.sums()], axis=1)
    totals = sums.sum(axis=0).reshape(-1, 3)
    resampled = np.array([counts @ sums for counts in resampling.draws(len(sums))]).reshape(
        -1, len(figures), 3
    )
    return [_compared(totals[n], resampled[:, n]) for n in range(len(figures))]


def _compared(total: Floats, resampled: Floats) -> Compared:
    before, after = (_ratio(total[n], total[2]) for n in range(2))
    befores, afters = (_ratio(resampled[:, n], resampled[:, 2]) for n in range(2))
    return Compared(
        recorded=around(float(before), befores),
        replayed=around(float(after), afters),
        difference=around(float(after - before), afters - befores),
    )


def _ratio(numerators: Floats, denominators: Floats) -> Floats:
    """NaN where nothing counts."""
    return np.divide(numerators, np.where(denominators > 0, denominators, np.nan))
