"""Leave-one-source-out validation: how a head does on a domain that it has never seen.

It chooses the hyper-parameters. The benchmarks never do: a number that helped to choose measures nothing afterwards.
That goes for the numbers told here as well: they flatter the setting that they chose a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier.evaluation.bootstrap import Estimate, drawn, estimate
from steersman.classifier.metrics import Ranking
from steersman.classifier.training_set import Floats, TrainingSet

Ranker = Callable[[Floats], Floats]
"""From rows of inputs to raw outputs."""
Fit = Callable[[TrainingSet], Ranker]

_RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Fold:
    """One source that was left out."""

    source: str
    rows: int
    apgr: float
    """Of the head trained on all the others; .5 is random."""
    ranking: Ranking
    """By its outputs."""

    @classmethod
    def of(cls, source: str, outputs: Floats, gains: Floats) -> Fold:
        """Measure outputs that rise with the need of strong."""
        ranking = Ranking(outputs, gains)
        return cls(source, rows=len(gains), apgr=ranking.curve().apgr(), ranking=ranking)


@dataclass(frozen=True, slots=True)
class Measured:
    """APGR on the sources left out, with intervals over their rows."""

    by_source: dict[str, Estimate]
    mean: Estimate


def leave_one_out(
    pool: TrainingSet, names: Sequence[str], *, fit: Fit, measured: npt.NDArray[np.bool_] | None = None
) -> tuple[Fold, ...]:
    """Train once for each source that models have answered, without it, and measure on it.

    Args:
        pool: All sources.
        names: Of the sources, in their order.
        fit: Trains.
        measured: The rows that can be ranked, where not all can.
    """
    answered = [index for index in range(len(names)) if not np.isnan(pool.wins[pool.source == index]).any()]
    return tuple(_fold(pool, index, name=names[index], fit=fit, measured=measured) for index in answered)


def _fold(
    pool: TrainingSet, index: int, *, name: str, fit: Fit, measured: npt.NDArray[np.bool_] | None
) -> Fold:
    held_out = pool.source == index
    rank = fit(pool.of(~held_out))
    unseen = pool.of(held_out if measured is None else held_out & measured)
    return Fold.of(name, rank(unseen.inputs), unseen.gains)


def measure(folds: Sequence[Fold], *, seed: int) -> Measured:
    """Find the intervals of folds: at least one, each of another source, whose rows are drawn by themselves."""
    resampled = [_resampled(fold, seed=seed + number) for number, fold in enumerate(folds)]
    return Measured(
        {fold.source: estimate(fold.apgr, each) for fold, each in zip(folds, resampled, strict=True)},
        estimate(float(np.mean([fold.apgr for fold in folds])), np.mean(resampled, axis=0)),
    )


def _resampled(fold: Fold, *, seed: int) -> Floats:
    counts = drawn(fold.rows, resamples=_RESAMPLES, seed=seed)
    return np.concatenate([fold.ranking.curves(each).apgr() for each in counts])
