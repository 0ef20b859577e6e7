"""Whether a log's traffic was the same all along: no interval knows what changes with time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from steersman.classifier.evaluation.bootstrap import Floats

_DEVIATIONS: Final = 3.0
"""What one log of four hundred without drift shows by chance."""
_LEAST: Final = 100
"""Rows below which two halves say nothing."""


@dataclass(frozen=True, slots=True)
class Halves:
    """Share of the rows at or over a boundary, in the earlier and in the later half."""

    earlier: float
    later: float
    apart: bool
    """Whether they differ by more than chance explains."""


def halves(scores: Floats, boundary: float) -> Halves:
    """Compare the two halves of scores in the order of time."""
    up = scores >= boundary
    middle = len(scores) // 2
    if len(scores) < _LEAST:
        return Halves(float(up.mean()), float(up.mean()), apart=False)
    earlier, later = float(up[:middle].mean()), float(up[middle:].mean())
    pooled = float(up.mean())
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / middle + 1 / (len(scores) - middle)))
    return Halves(earlier, later, apart=abs(earlier - later) > _DEVIATIONS * float(deviation))
