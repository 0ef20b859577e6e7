"""Bootstrap intervals: how far a figure would have moved, had other rows of the same traffic been seen.

Rows are drawn one by one, as if traffic had no memory. An interval therefore knows nothing of tomorrow's traffic being
another than today's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LEVEL: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a bootstrap is done; the same seed gives the same digits."""

    resamples: int = 1000
    seed: int = 0

    def draws(self, rows: int) -> Iterator[Floats]:
        """How often each row is in each resample, shape `(rows,)`."""
        generator = np.random.default_rng(self.seed)
        for _ in range(self.resamples):
            drawn = generator.integers(rows, size=rows)
            yield np.bincount(drawn, minlength=rows).astype(np.float64)


def around(value: float, resampled: Floats) -> Interval:
    """A figure of the sample, with the middle 95 % of the same figure in its resamples; NaN ones do not count."""
    low, high = _middle(resampled)
    return Interval(value, low, high)


def ahead(value: float, misses: Floats, *, low: float = -np.inf, high: float = np.inf) -> Interval:
    """What comes of a choice that was made on a sample.

    Args:
        value: What the sample promises.
        misses: What came less what the resample promised, in each of them.
        low: The figure is never less.
        high: Nor more.
    """
    below, above = _middle(misses)
    return Interval(value, float(np.clip(value + below, low, high)), float(np.clip(value + above, low, high)))


def _middle(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    # Of the ways to take a percentile the one that leaves 2.5 % on each side also of a few hundred resamples.
    low, high = np.percentile(known, _LEVEL, method="weibull")
    return float(low), float(high)
