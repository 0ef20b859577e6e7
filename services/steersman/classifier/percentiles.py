"""A distribution kept as a curve, so that a raw value can be told as its percentile.

This is what keeps the meaning of a threshold over retrainings: raw outputs of two heads have nothing in common,
their percentiles among the same traffic do. The curve is smoothed, so that it goes on rising outside of what was
seen: real traffic holds easier and harder queries than any reference, and they too must keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_POINTS = 1001
_REACH = 9.0
"""Bandwidths that the curve goes on beyond the values seen; any further, single precision tells 1 from nothing."""
_LEAST_BANDWIDTH = 1e-4
"""Relative to the values, so that single precision tells the points of the curve apart."""
_LOGISTIC = 1.702
"""Makes the logistic curve the nearest to the normal one."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Raw values in strictly rising order, and the share of the traffic below each."""

    values: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]

    def __call__(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Percentile in [0, 1] of each raw value, never falling as it rises."""
        return np.interp(raw, self.values, self.shares).astype(np.float32)

    @classmethod
    def of(cls, raw: npt.NDArray[np.float64], *, weights: npt.NDArray[np.float64]) -> Percentiles:
        """Estimate the distribution of weighted values, with Silverman's bandwidth."""
        parts = weights / weights.sum()
        spread = np.sqrt(parts @ (raw - parts @ raw) ** 2)
        least = _LEAST_BANDWIDTH * (1.0 + float(np.abs(raw).max()))
        bandwidth = max(0.9 * float(spread) * float(parts @ parts) ** 0.2, least)
        low, high = raw.min() - _REACH * bandwidth, raw.max() + _REACH * bandwidth
        values = np.linspace(low, high, _POINTS)
        shares = [parts @ _rise((value - raw) / bandwidth) for value in values]
        return cls(values=values.astype(np.float32), shares=np.array(shares, dtype=np.float32))


def _rise(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(_LOGISTIC * distances, -60.0, 60.0))))
