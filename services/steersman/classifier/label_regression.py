"""The regression that adapts a head to labels of its traffic.

A Gaussian process on the inputs and on the old head's output: a ridge regression, and bumps where labelled queries
are. Where labels are few the old output carries it, where they are many the inputs do, and where they lie close the
bumps do. The penalties and widths were chosen on the training sources, each adapted to from a head that was trained
without it (docs/classifier.md); only how high the bumps may be is chosen on the labels themselves, by their evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from steersman.classifier.bumps import Bumps, likeness
from steersman.classifier.fitting import Linear
from steersman.classifier.posterior import Posterior, learn
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training_set import Floats

_EMBEDDING_PENALTY: Final = 30.0
_FEATURE_PENALTY: Final = 3.0
_OLD_PENALTY: Final = 1.0
_COSINE_WEIGHT: Final = 3.0
"""Texts whose cosine is c are alike by exp(3 (c - 1)), and as the mean square of their features' differences says."""
AMPLITUDES: Final = (0.0, 0.03, 0.1, 0.3, 1.0)
_NEGLIGIBLE: Final = 1e-9

SETTING: Final = {
    "embedding_penalty": _EMBEDDING_PENALTY,
    "feature_penalty": _FEATURE_PENALTY,
    "old_penalty": _OLD_PENALTY,
    "cosine_weight": _COSINE_WEIGHT,
}
"""For a manifest."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted, told on the inputs."""

    linear: Linear
    bumps: Bumps | None
    amplitude: float
    """Prior variance of the bumps, where the labels' noise has 1."""
    left_out: Floats
    """Output of each labelled prompt by what the other labels say."""

    def __call__(self, inputs: Floats) -> Floats:
        """Raw output of each row."""
        linear = self.linear(inputs)
        return linear if self.bumps is None else linear + self.bumps.raw(inputs.astype(np.float32))


def fit(
    inputs: Floats, gains: Floats, old: StaticHead, *, amplitudes: Sequence[float] = AMPLITUDES
) -> Fitted:
    """Fit to labels, one gain a row of inputs.

    Args:
        inputs: Of the labelled prompts.
        gains: Success of strong less success of weak on each.
        old: The head that is adapted.
        amplitudes: Of the bumps, to choose from; 0 alone is a ridge regression.
    """
    columns = np.column_stack((inputs, outputs(old, inputs)))
    centre, spread = columns.mean(axis=0), columns.std(axis=0) + _NEGLIGIBLE
    scaled = (columns - centre) / spread
    dimensions = old.reference.centroids.shape[1]
    scale = _scale(spread[:-1], dimensions) if old.bumps is None else old.bumps.scale.astype(np.float64)
    points = inputs * scale
    penalised = scaled / (_penalties(columns.shape[1], dimensions) * len(gains))
    middle = float(gains.mean())
    learnt = learn(penalised @ scaled.T, likeness(points, points), gains - middle, amplitudes=amplitudes)
    *weights, share = penalised.T @ learnt.coefficients / spread
    bias = middle - centre @ np.append(weights, share)
    return Fitted(
        linear=Linear(weights=np.array(weights) + share * old.weights, bias=float(bias + share * old.bias)),
        bumps=_bumps(learnt, points, scale, old=old, share=share),
        amplitude=learnt.amplitude,
        left_out=learnt.left_out + middle,
    )


def outputs(head: StaticHead, inputs: Floats) -> Floats:
    """Raw output of a head for each row of inputs, as it is served."""
    dimensions = head.reference.centroids.shape[1]
    vectors, features = np.split(inputs.astype(np.float32), [dimensions], axis=1)
    return head.raw(vectors, features).astype(np.float64)


def _penalties(columns: int, dimensions: int) -> Floats:
    """One a column: the embedding, the features, the old output."""
    features = np.full(columns - dimensions - 1, _FEATURE_PENALTY)
    return np.concatenate((np.full(dimensions, _EMBEDDING_PENALTY), features, [_OLD_PENALTY]))


def _scale(spread: Floats, dimensions: int) -> Floats:
    """What inputs are multiplied with; a feature that never varies among the labels says nothing of likeness."""
    features = np.sqrt(2 / (len(spread) - dimensions)) / spread[dimensions:]
    features[spread[dimensions:] <= 2 * _NEGLIGIBLE] = 0
    return np.concatenate((np.full(dimensions, np.sqrt(_COSINE_WEIGHT)), features))


def _bumps(
    learnt: Posterior, points: Floats, scale: Floats, *, old: StaticHead, share: float
) -> Bumps | None:
    """Those of the labels, and of an old head that was adapted itself."""
    kept = [] if old.bumps is None else [(old.bumps.points, share * old.bumps.weights)]
    if learnt.amplitude:
        kept.append((points.astype(np.float32), learnt.amplitude * learnt.coefficients))
    if not kept:
        return None
    places, weights = zip(*kept, strict=True)
    return Bumps(
        points=np.vstack(places),
        weights=np.concatenate(weights).astype(np.float32),
        scale=scale.astype(np.float32),
    )
