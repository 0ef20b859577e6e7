"""Fitting of the bilinear Bradley-Terry model by full-batch Adam. Deterministic, NumPy only.

The penalty lies on the products W1 (w2 * v_M), which is what a model's score really weighs an input by, as in a ridge
regression a model. On the factors alone it would be a penalty on the rank, and drive all of them to zero together
before it is as strong as so few domains need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier.battles import Battles

Floats = npt.NDArray[np.float64]

_STEPS: Final = 150
_RATE: Final = 0.05
_DECAYS: Final = (0.9, 0.999)
_SMALL: Final = 1e-8
_SPREAD: Final = 0.1
"""Standard deviation of the factors in the beginning."""


@dataclass(frozen=True, slots=True)
class Factors:
    """`(inputs @ projection + offset) @ models.T` is the strength of each model on each row of inputs."""

    projection: Floats
    offset: Floats
    models: Floats

    def strengths(self, inputs: Floats) -> Floats:
        """Shape `(rows, models)`."""
        return (inputs @ self.projection + self.offset) @ self.models.T


def fit(
    inputs: Floats,
    battles: Battles,
    *,
    weights: Floats,
    penalty: Floats,
    width: int,
    generator: np.random.Generator,
) -> Factors:
    """Fit the factors.

    Args:
        inputs: One row a row of the training set.
        battles: On these rows.
        weights: One a battle, positive; only their ratios matter.
        penalty: One a column of the inputs, against a mean loss on standardised columns.
        width: Length of a model's vector.
        generator: Where the factors begin.
    """
    fought = np.bincount(battles.row, minlength=len(inputs)) > 0
    inputs, battles, share = inputs[fought], battles.among(fought), weights / weights.sum()
    rows = np.bincount(battles.row, weights=share)
    centre = rows @ inputs
    spread = np.sqrt(rows @ (inputs - centre) ** 2) + 1e-9
    scaled = (inputs - centre) / spread
    factors = _start(inputs.shape[1], len(battles.models), width=width, generator=generator)
    found = _descend(_Loss(scaled, battles, share, penalty), factors)
    projection = found.projection / spread[:, None]
    return Factors(projection, found.offset - centre @ projection, found.models)


@dataclass(frozen=True, slots=True)
class _Loss:
    inputs: Floats
    battles: Battles
    weights: Floats
    penalty: Floats

    def slope(self, at: Factors) -> Factors:
        """Derivative by each factor."""
        hidden = self.inputs @ at.projection + at.offset
        pull = self._pull(hidden @ at.models.T)
        products = self.penalty[:, None] * (at.projection @ at.models.T)
        toward = pull @ at.models
        return Factors(
            projection=self.inputs.T @ toward + products @ at.models,
            offset=toward.sum(axis=0),
            models=pull.T @ hidden + products.T @ at.projection,
        )

    def _pull(self, strengths: Floats) -> Floats:
        """Derivative by each strength: of each battle, how far its odds are from its outcome."""
        battles, count = self.battles, strengths.shape[1]
        first, second = battles.row * count + battles.first, battles.row * count + battles.second
        flat = strengths.ravel()
        missed = self.weights * (1 / (1 + np.exp(flat[second] - flat[first])) - battles.won)
        summed = np.bincount(first, weights=missed, minlength=flat.size)
        summed -= np.bincount(second, weights=missed, minlength=flat.size)
        return np.asarray(summed.reshape(strengths.shape), dtype=np.float64)


def _start(inputs: int, models: int, *, width: int, generator: np.random.Generator) -> Factors:
    return Factors(
        projection=generator.normal(scale=_SPREAD / np.sqrt(inputs), size=(inputs, width)),
        offset=generator.normal(scale=_SPREAD, size=width),
        models=generator.normal(scale=_SPREAD, size=(models, width)),
    )


def _descend(loss: _Loss, start: Factors) -> Factors:
    """Adam (arXiv 1412.6980) with a rate that falls to zero, over all battles at each step."""
    names = ("projection", "offset", "models")
    at = {name: getattr(start, name) for name in names}
    mean = {name: np.zeros_like(value) for name, value in at.items()}
    square = {name: np.zeros_like(value) for name, value in at.items()}
    for step in range(1, _STEPS + 1):
        slopes = loss.slope(Factors(**at))
        rate = _RATE * (1 - (step - 1) / _STEPS)
        for name in names:
            slope = getattr(slopes, name)
            mean[name] += (1 - _DECAYS[0]) * (slope - mean[name])
            square[name] += (1 - _DECAYS[1]) * (slope**2 - square[name])
            moved = mean[name] / (1 - _DECAYS[0] ** step)
            at[name] = at[name] - rate * moved / (np.sqrt(square[name] / (1 - _DECAYS[1] ** step)) + _SMALL)
    return Factors(**at)
