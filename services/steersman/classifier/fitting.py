"""The numerical parts of a training: ridge regression, a logistic curve, k-means. Deterministic, NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_NEWTON_STEPS = 50
_LLOYD_STEPS = 50
_RIDGE = 1e-9
"""Keeps a singular system solvable and changes nothing else."""


@dataclass(frozen=True, slots=True)
class Linear:
    """`inputs @ weights + bias`."""

    weights: Floats
    bias: float

    def __call__(self, inputs: Floats) -> Floats:
        """Raw output of each row."""
        return inputs @ self.weights + self.bias


def ridge(inputs: Floats, targets: Floats, *, sample_weights: Floats, penalty: Floats) -> Linear:
    """Weighted ridge regression on standardised columns, told in the columns' own units.

    Args:
        inputs: One row an example.
        targets: One a row.
        sample_weights: Positive; only their ratios matter.
        penalty: One a column, against a mean loss: 0.1 halves the weight of a lone column at the tenth of its variance.
    """
    share = sample_weights / sample_weights.sum()
    centre = share @ inputs
    spread = np.sqrt(share @ (inputs - centre) ** 2) + 1e-9
    scaled = (inputs - centre) / spread
    middle = float(share @ targets)
    gram = scaled.T @ (scaled * share[:, None]) + np.diag(penalty)
    solution = np.linalg.solve(gram, scaled.T @ (share * (targets - middle)))
    weights = solution / spread
    return Linear(weights=weights, bias=middle - float(centre @ weights))


def logistic(design: Floats, probabilities: Floats, *, sample_weights: Floats) -> Floats:
    """Weights of the columns for the log odds that fit soft labels in [0, 1] best, by Newton's method."""
    share = sample_weights / sample_weights.sum()
    solution = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        predicted = 1 / (1 + np.exp(-design @ solution))
        gradient = design.T @ (share * (probabilities - predicted))
        hessian = design.T @ (design * (share * predicted * (1 - predicted))[:, None])
        solution = solution + np.linalg.solve(hessian + _RIDGE * np.eye(len(solution)), gradient)
    return solution


def spherical_kmeans(
    vectors: Floats, *, centres: int, sample_weights: Floats, generator: np.random.Generator
) -> Floats:
    """Unit centres of unit vectors by Lloyd's algorithm on cosine similarity.

    A centre that loses all its members keeps its place.
    """
    chosen = generator.choice(
        len(vectors), size=min(centres, len(vectors)), replace=False, p=sample_weights / sample_weights.sum()
    )
    found = vectors[chosen]
    for _ in range(_LLOYD_STEPS):
        members = np.eye(len(found))[(vectors @ found.T).argmax(axis=1)] * sample_weights[:, None]
        sums = members.T @ vectors
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        found = np.where(norms > 0, sums / np.maximum(norms, 1e-12), found)
    return found
