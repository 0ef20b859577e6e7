"""Bootstrap intervals of any statistic, over the queries of a benchmark or the rows of a sample.

Rows are drawn one by one, as if they had no memory. A statistic takes how often each row counts, one resample a row,
and gives its values one resample a row. So the value itself is the statistic of ones, and what is measured together
sees the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], dict[str, Floats]]
"""From counts of shape `(resamples, queries)` to named values of shape `(resamples, ...)`."""
Key = TypeVar("Key")
Label = TypeVar("Label")

LEVEL: Final = (2.5, 97.5)
"""Percentiles between which an interval lies."""
_AT_ONCE = 1 << 17
"""Counts that are worked on at once: what a processor's cache holds is faster than all at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its bootstrap 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Estimates:
    """Many values of one kind, with their intervals, in arrays of one shape."""

    value: Floats
    low: Floats
    high: Floats

    def at(self, *index: int) -> Estimate:
        """One of them."""
        return Estimate(float(self.value[index]), float(self.low[index]), float(self.high[index]))


def bootstrap(
    statistic: Callable[[Floats], Mapping[Key, Floats]], *, queries: int, resamples: int, seed: int
) -> dict[Key, Estimates]:
    """Values and intervals of a statistic. The same seed gives the same digits."""
    parts = [statistic(counts) for counts in drawn(queries, resamples=resamples, seed=seed)]
    whole = statistic(np.ones((1, queries)))
    return {
        key: Estimates(np.asarray(value[0]), *_middle(np.concatenate([part[key] for part in parts])))
        for key, value in whole.items()
    }


def together(statistics: Mapping[Label, Statistic]) -> Callable[[Floats], dict[tuple[Label, str], Floats]]:
    """Several statistics as one, so that all of them see the same resamples."""
    return lambda counts: {
        (label, name): value
        for label, statistic in statistics.items()
        for name, value in statistic(counts).items()
    }


def totals(counts: Floats, amounts: Floats) -> Floats:
    """Sums of amounts of shape `(amounts, queries)` in each resample, in shape `(amounts, resamples)`.

    Without the matrix product of BLAS, whose digits depend on how many processors share the work.
    """
    return np.asarray(np.einsum("rq,aq->ar", counts, amounts))


def drawn(rows: int, *, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row is in each resample, some resamples at a time, in shape `(resamples, rows)`."""
    generator = np.random.default_rng(seed)
    most = max(_AT_ONCE // rows, 1)
    for start in range(0, resamples, most):
        size = min(most, resamples - start)
        places = generator.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        counts = np.bincount(places.ravel(), minlength=size * rows)
        yield counts.reshape(size, rows).astype(np.float64)


def estimate(value: float, resampled: Floats) -> Estimate:
    """A value, with the middle of what it was in each resample."""
    low, high = _middle(resampled)
    return Estimate(value, float(low), float(high))


def _middle(resampled: Floats) -> tuple[Floats, Floats]:
    bounds = np.full((2, *resampled.shape[1:]), np.nan)
    # A resample without a gap, or without a query of the group, says nothing.
    said = ~np.isnan(resampled).all(axis=0)
    if said.any():
        bounds[:, said] = np.nanpercentile(resampled[:, said], LEVEL, axis=0)
    return bounds[0], bounds[1]
