"""What is measured of a ranking of queries: CPT, APGR, AIQ, and the curves behind them."""

from __future__ import annotations

import numpy as np

from steersman.classifier.evaluation.benchmark import Benchmark, Floats
from steersman.classifier.evaluation.bootstrap import Statistic, totals
from steersman.classifier.evaluation.hull import aiq
from steersman.classifier.metrics import Curves, Ranking

CPT_50, CPT_80, APGR, AIQ = "CPT(50)", "CPT(80)", "APGR", "AIQ"
OVER_LENGTH = "APGR over length"
"""APGR less that of prompt length, in the same resamples: what a method knows beyond it."""
MEASURES = (CPT_50, CPT_80, APGR, OVER_LENGTH, AIQ)
RECOVERED, QUALITY, COST = "recovered", "quality", "cost"
CURVES = (RECOVERED, QUALITY, COST)

GRID = np.linspace(0, 1, 101)
"""Shares of strong calls at which the curves are told."""
_AIQ_POINTS = 257
"""Points of a ranking of which the hull is taken, at most: all of a small benchmark's."""


def of_ranking(benchmark: Benchmark, scores: Floats) -> Statistic:
    """The measures of a ranking by score, and over the shares of `GRID` its curves.

    AIQ and the mean cost of a query are there where costs are known.
    """
    ranking = Ranking(scores, benchmark.gains)
    amounts = np.array([benchmark.weak, *([benchmark.costs.weak] if benchmark.costs else [])])

    def statistic(counts: Floats) -> dict[str, Floats]:
        queries = counts.sum(axis=1, keepdims=True)
        share = ranking.sent(counts) / queries
        gained = ranking.sent(counts * benchmark.gains) / queries
        recovered = gained / np.where(gained[:, -1:] > 0, gained[:, -1:], np.nan)
        weak, *weak_cost = totals(counts, amounts)[:, :, None] / queries
        quality = weak + gained
        found = Curves(share=share, recovered=recovered)
        values = {
            CPT_50: found.cpt(50),
            CPT_80: found.cpt(80),
            APGR: found.apgr(),
            RECOVERED: _on_grid(share, recovered),
            QUALITY: _on_grid(share, quality),
        }
        if costs := benchmark.costs:
            spent = weak_cost[0] + ranking.sent(counts * (costs.strong - costs.weak)) / queries
            values |= {AIQ: _aiq(spent, quality), COST: _on_grid(share, spent)}
        return values

    return statistic


def _aiq(cost: Floats, quality: Floats) -> Floats:
    points = np.unique(np.linspace(0, cost.shape[1] - 1, _AIQ_POINTS).astype(np.int64))
    rows = zip(cost[:, points], quality[:, points], strict=True)
    return np.array([aiq(x, y, low=float(x[0]), high=float(x[-1])) for x, y in rows])


def _on_grid(share: Floats, values: Floats) -> Floats:
    return np.array([np.interp(GRID, x, y) for x, y in zip(share, values, strict=True)])
