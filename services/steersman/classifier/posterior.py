"""A Gaussian process with a linear part and a part by likeness (Rasmussen and Williams, 2006, chapters 2 and 5).

How much the part by likeness may say is what the labels themselves make most probable, its evidence: few labels, or
labels of a domain where what is alike does not need strong alike, leave it nothing, and what remains is a ridge
regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the process has learnt from examples.

    A new text's mean output is the sum, over the examples, of `coefficients` times its covariance with them.
    """

    coefficients: Floats
    amplitude: float
    """Prior variance of the part by likeness, where the noise has 1."""
    left_out: Floats
    """Mean output of each example by what the others say, in closed form (section 5.4.2)."""


def learn(linear: Floats, likeness: Floats, targets: Floats, *, amplitudes: Sequence[float]) -> Posterior:
    """Condition on examples, with the most probable of the amplitudes.

    Args:
        linear: Covariance of the examples by the linear part, where the noise has variance 1; shape `(n, n)`.
        likeness: How alike they are, in [0, 1]; the same shape.
        targets: One an example, with mean 0.
        amplitudes: To choose from.
    """
    amplitude = max(amplitudes, key=lambda each: _evidence(_covariance(linear, likeness, each), targets))
    inverse = np.linalg.inv(_covariance(linear, likeness, amplitude))
    coefficients = inverse @ targets
    return Posterior(coefficients, amplitude, left_out=targets - coefficients / np.diag(inverse))


def _covariance(linear: Floats, likeness: Floats, amplitude: float) -> Floats:
    return linear + amplitude * likeness + np.eye(len(linear))


def _evidence(covariance: Floats, targets: Floats) -> float:
    """Log of the targets' density, but for what does not depend on the covariance, at the best scale of all of it."""
    half = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(half, targets)
    return float(-len(targets) / 2 * np.log(whitened @ whitened) - np.log(np.diag(half)).sum())
