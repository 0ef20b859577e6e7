"""The boundary that recovers a wanted part of the quality gap, from queries that both models have answered.

It is the highest one, which sends the fewest queries to strong. A sample flatters it: chance helps to choose the place,
and helps nobody afterwards. The interval is of what comes afterwards, so that it may lie below what was wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steersman.calibration.bootstrap import Resampling, ahead
from steersman.calibration.scores import ScoreOrder
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.bootstrap import Estimate, Floats


@dataclass(frozen=True, slots=True)
class Recovery:
    """A boundary, and what it does."""

    boundary: float
    recovered: Estimate
    """Part of the gap between weak and strong; the interval is of further traffic."""
    strong_share: Estimate
    rows: int


def calibrate(scores: Floats, gains: Floats, wanted: float, resampling: Resampling) -> Recovery:
    """Choose the boundary.

    Args:
        scores: In [0, 1], at least one.
        gains: Quality of the strong answer less that of the weak one.
        wanted: Part of the gap, in (0, 1].
        resampling: How intervals are found.

    Raises:
        DataError: Strong is no better than weak on these rows, so that there is no gap.
    """
    order, once = ScoreOrder(scores), np.ones_like(scores)
    if not gains.sum() > 0:
        raise DataError(
            "the strong model is no better than the weak one on these rows: there is no gap to recover"
        )
    recovered, share = _recovered(order, gains), order.above(once) / len(scores)
    place = _first(recovered, wanted)
    misses: list[tuple[float, float]] = []
    for counts in resampling.draws(len(scores)):
        resampled = _recovered(order, gains * counts)
        if resampled[0] > 0:
            chosen = _first(resampled, wanted)
            promised = order.above(counts)[chosen] / len(scores)
            misses.append((recovered[chosen] - resampled[chosen], share[chosen] - promised))
    missed = np.array(misses or [(np.nan, np.nan)])
    return Recovery(
        boundary=order.boundary(place),
        recovered=ahead(float(recovered[place]), missed[:, 0]),
        strong_share=ahead(float(share[place]), missed[:, 1], low=0.0, high=1.0),
        rows=len(scores),
    )


def _recovered(order: ScoreOrder, gains: Floats) -> Floats:
    """Part of the gap that is recovered, by place; all of it at the first. Zeros where there is no gap."""
    gained = order.above(gains)
    return gained / gained[0] if gained[0] > 0 else np.zeros_like(gained)


def _first(recovered: Floats, wanted: float) -> int:
    """The highest place that recovers as much; the first one recovers everything."""
    enough = np.flatnonzero(recovered >= wanted)
    return int(enough[-1])
