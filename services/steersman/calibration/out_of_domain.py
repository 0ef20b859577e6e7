"""What the router holds against boundaries: a query's score, or what the policy's rule has instead of it.

A query out of domain goes by that rule and not by its score, so that boundaries chosen on scores alone would promise
shares that such queries do not keep. What they will be decided by can be calibrated on and replayed like a score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from steersman.calibration.decisions import Logged
from steersman.classifier.evaluation.bootstrap import Floats
from steersman.classifier.scores import Scores
from steersman.router import policy
from steersman.router.model import Assessment, Fallback, OutOfDomain, Reason


@dataclass(frozen=True, slots=True)
class Places:
    """What is held against boundaries for some queries, in their order."""

    values: Floats
    """In [0, 1]. A query that goes to the dearest tier whatever its score has 1, one that goes to the cheapest has 0,
    which no boundary but 0 sends up."""
    out_of_domain: int
    """How many of them go by the policy's rule."""


def of_texts(texts: Sequence[str], scores: Scores, rule: OutOfDomain | None) -> Places:
    """Places of routed texts that are known: exactly those that they will have."""
    rows = zip(texts, scores.score.tolist(), scores.novelty.tolist(), strict=True)
    return _places(
        policy.place(_assessment(score, novelty), rule, partial(policy.stand_in_of, text))
        for text, score, novelty in rows
    )


def of_decisions(decisions: Sequence[Logged], rule: OutOfDomain | None, tiers: Sequence[str]) -> Places:
    """Places of scored decisions under a rule, which need not be the one that decided them.

    Args:
        decisions: With a score each.
        rule: The policy's.
        tiers: The policy's, cheapest first.
    """
    return _places(_placed(each, rule, tiers) for each in decisions)


def place(decision: Logged, rule: OutOfDomain | None, tiers: Sequence[str]) -> float:
    """The place of one decision; beyond all boundaries where the rule names the dearest or the cheapest tier."""
    return _placed(decision, rule, tiers)[0]


def covers(decision: Logged, rule: OutOfDomain | None) -> bool:
    """Whether a scored decision goes by the rule."""
    return rule is not None and rule.covers(_assessment(decision.score, decision.novelty))


def stand_in(decision: Logged, tiers: Sequence[str]) -> float:
    """A number in place of the text's own stand-in, which no log can hold: it would tell who asked the same.

    It is drawn by the decision's id. Where a stand-in has decided already, its tier tells between which boundaries it
    lay, and it is drawn from there: the same policy decides the same again.
    """
    drawn = policy.stand_in_of(decision.id)
    known = (
        decision.out_of_domain == Fallback.PROPORTIONAL.value
        and decision.wanted_for in {Reason.OUT_OF_DOMAIN.name, ""}
        and decision.wanted_tier in tiers
        and len(decision.boundaries) == len(tiers) - 1
    )
    if not known:
        return drawn
    edges = list(pairwise((0.0, *decision.boundaries, 1.0)))
    low, high = edges[tiers.index(decision.wanted_tier)]
    return min(low + drawn * (high - low), math.nextafter(high, low))


def _placed(decision: Logged, rule: OutOfDomain | None, tiers: Sequence[str]) -> tuple[float, Reason]:
    assessment = _assessment(decision.score, decision.novelty)
    return policy.place(assessment, rule, lambda: stand_in(decision, tiers))


def _assessment(score: float, novelty: float) -> Assessment:
    return Assessment(score, math.nan, novelty, truncated=False)


def _places(placed: Iterable[tuple[float, Reason]]) -> Places:
    values, reasons = zip(*placed, strict=True)
    return Places(np.clip(np.array(values), 0.0, 1.0), reasons.count(Reason.OUT_OF_DOMAIN))
