"""CPT and APGR, as the RouteLLM paper defines them (arXiv 2406.18665, sections 4 and 5).

A router that sends a share c of the queries to strong recovers PGR(c) of the quality gap between always-weak and
always-strong. APGR is the area under PGR over c; CPT(x) the least c with PGR(c) >= x %. Where scores tie, the queries
among them are taken in random order, and the curve is its expectation: a straight line.

The area is exact where the paper takes ten points; both give .50 to a random router.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Share of strong calls against the performance gap recovered, from (0, 0) to (1, 1)."""

    share: Floats
    recovered: Floats
    """NaN where strong is no better than weak, so that there is no gap to recover."""

    def apgr(self) -> float:
        """Area under the curve: .5 for a random router, above 1 is possible where weak is at times the better."""
        steps, heights = np.diff(self.share), self.recovered[1:] + self.recovered[:-1]
        return float(steps @ heights / 2)

    def cpt(self, percent: float) -> float:
        """Least share of strong calls, in [0, 1], that recovers so many percent of the gap."""
        target = percent / 100
        reached = np.flatnonzero(self.recovered >= target)
        if not reached.size:
            return float("nan")
        end = max(int(reached[0]), 1)
        low, high = self.recovered[end - 1], self.recovered[end]
        part = (target - low) / (high - low)
        return float(self.share[end - 1] + part * (self.share[end] - self.share[end - 1]))


class Ranking:
    """Queries in descending order of score, sorted once so that many resamples are cheap.

    Args:
        scores: Higher goes to strong first.
        gains: Quality of strong less quality of weak, in the same order.
    """

    def __init__(self, scores: Floats, gains: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        self._gains = gains[self._order]

    def curve(self, counts: Floats | None = None) -> Curve:
        """The curve where each query counts so often; once, if not told."""
        times = np.ones_like(self._gains) if counts is None else counts[self._order]
        queries = np.add.reduceat(times, self._starts)
        gained = np.add.reduceat(times * self._gains, self._starts)
        total = gained.sum() if gained.sum() > 0 else np.nan
        return Curve(
            share=np.concatenate(([0.0], np.cumsum(queries) / queries.sum())),
            recovered=np.concatenate(([0.0], np.cumsum(gained))) / total,
        )
