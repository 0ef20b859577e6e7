"""What a threshold does to traffic: how much goes to strong, what that keeps and costs, for all and for each group.

The threshold is chosen once, on all queries, as an operator would; the resamples ask what it does to other traffic
of the same kind. So the strong share has an interval as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from steersman.classifier.evaluation.benchmark import Benchmark, Floats
from steersman.classifier.evaluation.bootstrap import Statistic, totals

SHARE, QUALITY, RECOVERED = "strong share", "quality", "recovered"
LOST = "lost"
"""Quality of always strong less the quality here; defined, and steady, where there is little or no gap to recover."""
COST, SAVED = "cost", "saved"
"""Of a query, and the part of what always strong costs; where costs are known."""


class Point(Protocol):
    """A rule from scores to what goes to strong."""

    def sent(self, scores: Floats) -> Floats:
        """How likely each query goes to strong, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Share:
    """So large a part of the queries goes to strong; among equal scores the lot decides."""

    share: float

    def __str__(self) -> str:
        return f"share {self.share:g}"

    def sent(self, scores: Floats) -> Floats:
        """How likely each query goes to strong."""
        _, step, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
        before = np.cumsum(sizes) - sizes
        part: Floats = np.clip((self.share * len(scores) - before) / sizes, 0, 1)
        return part[step]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Scores from here on go to strong."""

    threshold: float

    def __str__(self) -> str:
        return f"threshold {self.threshold:g}"

    def sent(self, scores: Floats) -> Floats:
        """How likely each query goes to strong: 0 or 1."""
        return (scores >= self.threshold).astype(np.float64)


def outcome(benchmark: Benchmark, sent: Floats, groups: npt.NDArray[np.int64]) -> Statistic:
    """Strong share, quality, gap recovered, and cost where it is known, one column a group.

    Args:
        benchmark: Whose queries they are.
        sent: How likely each query goes to strong.
        groups: Of each query, numbered from 0 without a gap.
    """
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups)).tolist()
    slices = tuple(itertools.starmap(slice, itertools.pairwise([0, *ends])))
    amounts = np.array([amount[order] for amount in _amounts(benchmark, sent)])

    def statistic(counts: Floats) -> dict[str, Floats]:
        ordered = counts[:, order]
        sums = np.stack([totals(ordered[:, part], amounts[:, part]) for part in slices], axis=-1)
        # A resample may hold no query of a small group.
        with np.errstate(divide="ignore", invalid="ignore"):
            return _told(sums)

    return statistic


def _amounts(benchmark: Benchmark, sent: Floats) -> Iterator[Floats]:
    yield np.ones(len(sent))
    yield sent
    yield benchmark.weak + sent * benchmark.gains
    yield sent * benchmark.gains
    yield benchmark.gains
    if costs := benchmark.costs:
        yield costs.weak + sent * (costs.strong - costs.weak)
        yield costs.strong


def _told(sums: Floats) -> dict[str, Floats]:
    queries, sent, quality, gained, gap, *costs = sums
    told = {
        SHARE: sent / queries,
        QUALITY: quality / queries,
        RECOVERED: gained / np.where(gap > 0, gap, np.nan),
        LOST: (gap - gained) / queries,
    }
    if not costs:
        return told
    spent, all_strong = costs
    return told | {COST: spent / queries, SAVED: 1 - spent / all_strong}
