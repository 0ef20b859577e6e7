"""Heads that are trained without each source in turn and measured on it, beside the head on static embeddings.

The hyper-parameters of that are those which validation chose for the one that ships.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from benchmarks.head_variants import resampled
from rich.table import Table

from steersman.classifier import validation
from steersman.classifier.evaluation.bootstrap import Estimate, estimate
from steersman.classifier.fitting import Linear
from steersman.classifier.methods import static_head
from steersman.classifier.methods.static_head import Hyperparameters
from steersman.classifier.training_set import Floats, TrainingSet

STATIC: Final = Hyperparameters(embedding_penalty=100.0, feature_penalty=30.0, source_exponent=0.5)

Rows = npt.NDArray[np.bool_]
Folds = tuple[validation.Fold, ...]


def static(pool: TrainingSet) -> Linear:
    """The head on static embeddings."""
    return static_head.fit(pool, STATIC)


def marked(pool: TrainingSet, rows: Rows) -> TrainingSet:
    """With a last column that tells of each row whether it is one of these."""
    return replace(pool, inputs=np.column_stack((pool.inputs, rows)))


def on_marked(fit: Callable[[TrainingSet], validation.Ranker]) -> validation.Fit:
    """Fit to the marked rows alone."""

    def fitted(pool: TrainingSet) -> validation.Ranker:
        part = pool.of(pool.inputs[:, -1] > 0)
        rank = fit(replace(part, inputs=part.inputs[:, :-1]))
        return lambda inputs: rank(inputs[:, :-1])

    return fitted


def table(found: Mapping[str, Folds]) -> Table:
    """A row a head; the first is the static one with all rows, the second that with the rows that the others have."""
    everything, same, *_ = found.values()
    told = Table("head", title="APGR on the source left out; mean, and difference in it, with 95 % intervals")
    for column in (*(f"{fold.source} ({fold.rows:,})" for fold in everything), "mean"):
        told.add_column(column, justify="right")
    for column in ("to static, the same rows", "to static, all rows"):
        told.add_column(column, justify="right")
    for name, folds in found.items():
        mean = f"{np.mean([fold.apgr for fold in folds]):.3f}"
        over = (_difference(folds, base) for base in (same, everything))
        told.add_row(name, *(f"{fold.apgr:.3f}" for fold in folds), mean, *over)
    return told


def _difference(folds: Folds, base: Folds) -> str:
    value = float(np.mean([fold.apgr for fold in folds]) - np.mean([fold.apgr for fold in base]))
    return _told(estimate(value, _resampled(folds) - _resampled(base)))


def _resampled(folds: Folds) -> Floats:
    return resampled([fold.ranking for fold in folds], [fold.rows for fold in folds])


def _told(difference: Estimate) -> str:
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
