"""Leave-one-source-out validation: how a head does on a domain that it has never seen.

It chooses the hyper-parameters. The benchmarks never do: a number that helped to choose measures nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.metrics import Ranking
from steersman.classifier.training_set import Floats, TrainingSet

Ranker = Callable[[Floats], Floats]
"""From rows of inputs to raw outputs."""
Fit = Callable[[TrainingSet], Ranker]


@dataclass(frozen=True, slots=True)
class Fold:
    """One source that was left out."""

    source: str
    rows: int
    apgr: float
    """Of the head trained on all the others; .5 is random."""


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
    curve = Ranking(rank(unseen.inputs), unseen.gains).curve()
    return Fold(source=name, rows=len(unseen.gains), apgr=curve.apgr())
