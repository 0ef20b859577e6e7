"""Boundaries that send a wanted share of traffic to each tier, and how near to it they will come.

The boundary is a quantile of the sample's scores. The interval is of what the same traffic does at that boundary: in
each resample a boundary is chosen as it was on the sample, and the sample then plays the traffic that is still to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.calibration.bootstrap import Resampling, ahead
from steersman.calibration.scores import ScoreOrder
from steersman.classifier.evaluation.bootstrap import Estimate, Floats

_DECIMALS: Final = 9
"""Of a share; what is given adds up to 1 as nearly as that."""
_HALVED: Final = 3
"""An interval is as long as one over the root of the rows: half the length takes four times the rows, thrice more."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a tier gets."""

    wanted: float
    found: float
    """Of the sample, at the boundaries that were chosen."""
    long_run: Estimate
    """Of endless traffic like the sample."""
    next_queries: Estimate
    """Of as many queries of such traffic as the sample has."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Boundaries, and what they do."""

    boundaries: tuple[float, ...]
    """Ascending, one fewer than tiers."""
    shares: tuple[Share, ...]
    """By tier, cheapest first."""
    ties: tuple[float, ...]
    """By boundary: the part of the sample that has one and the same score and moves as one there."""
    rows: int


def rows_to_halve(rows: int) -> int:
    """Rows that would have to be added for intervals half as long."""
    return _HALVED * rows


def calibrate(
    scores: Floats, weights: Floats, wanted: Sequence[float], resampling: Resampling
) -> Calibration:
    """Choose boundaries.

    Args:
        scores: In [0, 1], at least one.
        weights: Queries of the traffic that each of them stands for.
        wanted: Share of each tier, cheapest first; together 1.
        resampling: How intervals are found.
    """
    order = ScoreOrder(scores)
    # Rounded, so that a tier that is to get nothing gets nothing: .7 + .2 + .1 is less than 1.
    targets = np.cumsum(np.asarray(wanted)[::-1])[::-1][1:].round(_DECIMALS)
    upper = _upper(order, weights)
    places = _nearest(upper, targets)
    found = _by_tier(upper[places])
    generator = np.random.default_rng((resampling.seed, 1))  # of its own, not that of the draws
    misses: list[Floats] = []
    misses_soon: list[Floats] = []
    for counts in resampling.draws(len(scores)):
        resampled = _upper(order, weights * counts)
        chosen = _nearest(resampled, targets)
        promised, came = _by_tier(resampled[chosen]), _by_tier(upper[chosen])
        misses.append(came - promised)
        misses_soon.append(generator.multinomial(len(scores), came) / len(scores) - promised)
    return Calibration(
        boundaries=tuple(
            _boundary(order, place, target) for place, target in zip(places, targets, strict=True)
        ),
        shares=tuple(
            Share(
                wanted=float(wanted[tier]),
                found=float(found[tier]),
                long_run=ahead(found[tier], np.array([each[tier] for each in misses]), low=0.0, high=1.0),
                next_queries=ahead(
                    found[tier], np.array([each[tier] for each in misses_soon]), low=0.0, high=1.0
                ),
            )
            for tier in range(len(wanted))
        ),
        ties=tuple(_tie(upper, place) for place in places),
        rows=len(scores),
    )


def _upper(order: ScoreOrder, weights: Floats) -> Floats:
    """Share that goes up, by place."""
    sums = order.above(weights)
    return np.asarray(np.clip(sums / sums[0], 0.0, 1.0))


def _nearest(upper: Floats, targets: Floats) -> npt.NDArray[np.intp]:
    """The place whose share is nearest to each target; of two as near, the one that sends fewer up."""
    last = len(upper) - 1
    return np.array([last - np.argmin(np.abs(upper[::-1] - target)) for target in targets], dtype=np.intp)


def _by_tier(upper: Floats) -> Floats:
    """Shares of the tiers from the shares at or over their boundaries."""
    return np.asarray(np.maximum(-np.diff(np.concatenate(([1.0], upper, [0.0]))), 0.0))


def _boundary(order: ScoreOrder, place: int, target: float) -> float:
    """All or none of the traffic is meant for scores that the sample does not hold as well."""
    if target >= 1.0:
        return 0.0
    return 1.0 if target <= 0.0 else order.boundary(place)


def _tie(upper: Floats, place: int) -> float:
    """The larger of the two steps beside a place."""
    return float(np.max(-np.diff(upper[max(place - 1, 0) : place + 2]), initial=0.0))
