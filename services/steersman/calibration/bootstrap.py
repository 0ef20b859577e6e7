"""Intervals of what is chosen on a sample of traffic: how far a figure would have moved, had other rows been seen.

They know nothing of tomorrow's traffic being another than today's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steersman.classifier.evaluation.bootstrap import LEVEL, Estimate, Floats, drawn


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a bootstrap is done; the same seed gives the same digits."""

    resamples: int = 1000
    seed: int = 0

    def draws(self, rows: int) -> Iterator[Floats]:
        """How often each row is in each resample, shape `(rows,)`."""
        for some in drawn(rows, resamples=self.resamples, seed=self.seed):
            yield from some


def around(value: float, resampled: Floats) -> Estimate:
    """A figure of the sample, with the middle 95 % of the same figure in its resamples; NaN ones do not count."""
    low, high = _middle(resampled)
    return Estimate(value, low, high)


def ahead(value: float, misses: Floats, *, low: float = -np.inf, high: float = np.inf) -> Estimate:
    """What comes of a choice that was made on a sample.

    Args:
        value: What the sample promises.
        misses: What came less what the resample promised, in each of them.
        low: The figure is never less.
        high: Nor more.
    """
    below, above = _middle(misses)
    return Estimate(value, float(np.clip(value + below, low, high)), float(np.clip(value + above, low, high)))


def _middle(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    # Of the ways to take a percentile the one that leaves 2.5 % on each side also of a few hundred resamples.
    low, high = np.percentile(known, LEVEL, method="weibull")
    return float(low), float(high)
