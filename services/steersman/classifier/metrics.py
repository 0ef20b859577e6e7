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
class Curves:
    """One curve a row, from (0, 0) to (1, 1), shape `(curves, points)`."""

    share: Floats
    """Share of strong calls, never falling."""
    recovered: Floats
    """Performance gap recovered; NaN where strong is no better than weak, so that there is no gap to recover."""

    def apgr(self) -> Floats:
        """Area under each curve: .5 for a random router, above 1 is possible where weak is at times the better."""
        steps, heights = np.diff(self.share), self.recovered[:, 1:] + self.recovered[:, :-1]
        return np.asarray(np.einsum("ij,ij->i", steps, heights) / 2)

    def cpt(self, percent: float) -> Floats:
        """Least share of strong calls, in [0, 1], that recovers so many percent of the gap."""
        target = percent / 100
        reached = self.recovered >= target
        end = np.maximum(reached.argmax(axis=1), 1)
        row = np.arange(len(end))
        low, high = self.recovered[row, end - 1], self.recovered[row, end]
        start, stop = self.share[row, end - 1], self.share[row, end]
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = start + (target - low) / (high - low) * (stop - start)
        # A target that is reached at once needs no call, and what is never reached has no share.
        return np.where(reached[:, 0], start, np.where(reached.any(axis=1), crossing, np.nan))


@dataclass(frozen=True, slots=True)
class Curve:
    """Share of strong calls against the performance gap recovered, from (0, 0) to (1, 1)."""

    share: Floats
    recovered: Floats
    """NaN where strong is no better than weak, so that there is no gap to recover."""

    def apgr(self) -> float:
        """Area under the curve."""
        return float(self._alone().apgr()[0])

    def cpt(self, percent: float) -> float:
        """Least share of strong calls, in [0, 1], that recovers so many percent of the gap."""
        return float(self._alone().cpt(percent)[0])

    def _alone(self) -> Curves:
        return Curves(share=self.share[None], recovered=self.recovered[None])


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
        self._gains = gains

    def curve(self) -> Curve:
        """The curve where each query counts once."""
        curves = self.curves(np.ones((1, len(self._gains))))
        return Curve(share=curves.share[0], recovered=curves.recovered[0])

    def curves(self, counts: Floats) -> Curves:
        """The curves where each query counts so often, one a row of shape `(curves, queries)`."""
        queries, gained = self.sent(counts), self.sent(counts * self._gains)
        total = gained[:, -1:]
        return Curves(
            share=queries / queries[:, -1:],
            recovered=gained / np.where(total > 0, total, np.nan),
        )

    def sent(self, amounts: Floats) -> Floats:
        """Sums of a per-query amount over what goes to strong, as ever lower scores do, from nothing to all.

        One column for each step of the ranking, tied queries being one step, and one more for the start.
        """
        ranked = amounts[:, self._order]
        steps = (
            ranked if len(self._starts) == ranked.shape[1] else np.add.reduceat(ranked, self._starts, axis=1)
        )
        sums = np.zeros((len(steps), steps.shape[1] + 1))
        np.cumsum(steps, axis=1, out=sums[:, 1:])
        return sums
