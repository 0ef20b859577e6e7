"""Who beat whom: pairwise preferences, as `mf` and `sw_ranking` learn from them.

Scores of several models on a prompt are battles of each two of them; a file in RouteLLM's format holds battles as
such. In both the better one wins, and a tie is half a win to each.

A model is another one in each source: by how much it is the stronger there is a matter of the source, and a vector or
strength shared by sources would learn to tell them apart. It is what centring is to gains.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.training_data import Examples

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Model:
    """A model on a source."""

    source: int
    """Index of the source."""
    name: str
    side: int
    """1 where it stands for strong, -1 for weak, 0 for neither."""


@dataclass(frozen=True, slots=True)
class Battles:
    """One entry a battle in each array."""

    models: tuple[Model, ...]
    row: Indices
    """Row of the training set."""
    first: Indices
    """Index of a model."""
    second: Indices
    won: Floats
    """1 where the first won, 0 where the second did, .5 for a tie."""

    @classmethod
    def of(cls, sources: Sequence[Examples]) -> Battles:
        """Every two models that have both answered a row."""
        models = [
            Model(source=index, name=name, side=examples.side_of(name))
            for index, examples in enumerate(sources)
            for name in examples.models
        ]
        parts = [np.zeros((4, 0)), *_fought(sources)]
        row, first, second, won = np.hstack(parts)
        return cls(tuple(models), row.astype(np.intp), first.astype(np.intp), second.astype(np.intp), won)

    def among(self, rows: npt.NDArray[np.bool_]) -> Battles:
        """Only those on these rows of the training set, which are then numbered anew."""
        kept = rows[self.row]
        number = np.cumsum(rows) - 1
        return Battles(
            self.models, number[self.row[kept]], self.first[kept], self.second[kept], self.won[kept]
        )

    def across_tiers(self) -> Battles:
        """Only those of a strong with a weak model, with the strong one first."""
        sides = np.array([model.side for model in self.models])
        one, other = sides[self.first], sides[self.second]
        kept = one * other < 0
        turned = (one < 0)[kept]
        first, second, won = self.first[kept], self.second[kept], self.won[kept]
        return Battles(
            self.models,
            self.row[kept],
            np.where(turned, second, first),
            np.where(turned, first, second),
            np.where(turned, 1 - won, won),
        )

    def share_per_row(self, rows: int) -> Floats:
        """Mean of `won` on each of the training set's rows; NaN where there was no battle."""
        fought = np.bincount(self.row, minlength=rows)
        won = np.bincount(self.row, weights=self.won, minlength=rows)
        return np.where(fought > 0, won / np.maximum(fought, 1), np.nan)


def _fought(sources: Sequence[Examples]) -> Iterator[Floats]:
    """Rows of row, first, second, won."""
    row = model = 0
    for examples in sources:
        outcomes = examples.outcomes
        for first, second in itertools.combinations(range(outcomes.shape[1]), 2):
            ahead = outcomes[:, first] - outcomes[:, second]
            fought = np.flatnonzero(~np.isnan(ahead))
            won = (np.sign(ahead[fought]) + 1) / 2
            yield np.stack(
                (fought + row, np.full(len(won), model + first), np.full(len(won), model + second), won)
            )
        row += len(outcomes)
        model += outcomes.shape[1]
