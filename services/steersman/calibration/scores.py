"""A sample's scores in order, and the places between them where a boundary can stand.

A boundary sends up every query whose score is at or over it. Queries of one score go together, wherever it stands:
among n distinct scores there are n + 1 places and no more, and what lies between their shares cannot be had.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from steersman.classifier.evaluation.bootstrap import Floats

_DIGITS: Final = 17
"""Decimals after which two numbers of double precision that differ do so in print."""


class ScoreOrder:
    """Distinct scores, ascending. Place i is just below the i-th of them; the last place is above all.

    Args:
        scores: In [0, 1], at least one.
    """

    def __init__(self, scores: Floats) -> None:
        self._values, self._rows = np.unique(scores, return_inverse=True)
        # A score of 1 is at or over every boundary that there can be.
        self._places = len(self._values) + (self._values[-1] < 1.0)

    def above(self, amounts: Floats) -> Floats:
        """Sum of the amounts of the rows that go up, for a boundary at each place."""
        masses = np.bincount(self._rows, weights=amounts, minlength=len(self._values))
        sums = np.concatenate((np.cumsum(masses[::-1])[::-1], [0.0]))
        return np.asarray(sums[: self._places])

    def boundary(self, place: int) -> float:
        """The number with the fewest decimals that stands there, near the middle between two scores."""
        low = float(self._values[place - 1]) if place else -np.inf
        high = float(self._values[place]) if place < len(self._values) else 1.0
        middle = (max(low, 0.0) + high) / 2
        for digits in range(1, _DIGITS + 1):
            rounded = round(middle, digits)
            if low < rounded <= high:
                return rounded
        return high
