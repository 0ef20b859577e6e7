"""Ways to fit a head to pooled sources that were tried beside the regression that ships; see `head_variants`."""

from __future__ import annotations

from typing import Final

import numpy as np

from steersman.classifier.fitting import Linear, ridge
from steersman.classifier.methods.static_head import Hyperparameters
from steersman.classifier.training_set import Floats, TrainingSet
from steersman.classifier.validation import Ranker

_ROUNDS: Final = 10
_LEAST_SPREAD: Final = 0.05
"""Of the spread over all sources, added to that within them, for a column that hardly varies within any."""
_LANDMARKS: Final = 600


def within(pool: TrainingSet, setting: Hyperparameters) -> Linear:
    """On what varies within sources, as if each had an intercept of its own."""
    weights = pool.fitting_weights(setting.source_exponent)
    share = weights / weights.sum()
    inner = pool.inputs - _middles(pool, share)[pool.source]
    centre = share @ pool.inputs
    spread = np.sqrt(share @ inner**2) + _LEAST_SPREAD * np.sqrt(share @ (pool.inputs - centre) ** 2) + 1e-9
    scaled = inner / spread
    gram = scaled.T @ (scaled * share[:, None]) + np.diag(_penalties(pool, setting))
    return Linear(np.linalg.solve(gram, scaled.T @ (share * pool.targets)) / spread, bias=0.0)


def worst_up(pool: TrainingSet, setting: Hyperparameters, *, rate: float) -> Linear:
    """Sources weigh the more the worse they are fitted, by how little outputs go with targets, round after round."""
    base = pool.fitting_weights(setting.source_exponent)
    factors = np.ones(int(pool.source.max()) + 1)
    fitted = _ridge(pool, setting, base)
    for _ in range(_ROUNDS):
        outputs = fitted(pool.inputs)
        for source in np.unique(pool.source):
            own = pool.source == source
            factors[source] *= np.exp(rate * (1 - np.corrcoef(outputs[own], pool.targets[own])[0, 1]))
        factors /= factors.mean()
        fitted = _ridge(pool, setting, base * factors[pool.source])
    return fitted


def consistent(pool: TrainingSet, setting: Hyperparameters, *, by: float) -> Linear:
    """Columns weigh by their covariance with the targets, less `by` times how it varies from source to source."""
    weights = pool.fitting_weights(setting.source_exponent)
    share = weights / weights.sum()
    centre = share @ pool.inputs
    spread = np.sqrt(share @ (pool.inputs - centre) ** 2) + 1e-9
    of_sources = []
    for source in np.unique(pool.source):
        own = pool.of(pool.source == source)
        of_sources.append((own.inputs - own.inputs.mean(axis=0)).T @ own.targets / len(own.targets) / spread)
    mean, spread_over = np.mean(of_sources, axis=0), np.std(of_sources, axis=0)
    kept = np.sign(mean) * np.maximum(np.abs(mean) - by * spread_over, 0)
    return Linear(kept / (1 + _penalties(pool, setting)) / spread, bias=0.0)


def by_source(pool: TrainingSet, setting: Hyperparameters, *, by: float) -> Ranker:
    """A head a source; a text goes the more by one, the more it is like that source: alike by all where `by` is 0."""
    parts = [pool.of(pool.source == source) for source in np.unique(pool.source)]
    heads = [_ridge(part, setting, np.ones(len(part.targets))) for part in parts]
    spreads = [head(part.inputs).std() for head, part in zip(heads, parts, strict=True)]
    middles = np.stack([part.vectors.mean(axis=0) for part in parts])
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)

    def rank(inputs: Floats) -> Floats:
        likeness = by * inputs[:, : pool.dimensions] @ middles.T
        gates = np.exp(likeness - likeness.max(axis=1, keepdims=True))
        outputs = np.stack(
            [head(inputs) / spread for head, spread in zip(heads, spreads, strict=True)], axis=1
        )
        return np.asarray((gates * outputs).sum(axis=1) / gates.sum(axis=1))

    return rank


def to_middle(pool: TrainingSet, setting: Hyperparameters, *, by: float) -> Ranker:
    """Outputs shrink toward the middle the more, the less a text is like any that was trained on."""
    fitted = _ridge(pool, setting, pool.fitting_weights(setting.source_exponent))
    middle = float(fitted(pool.inputs).mean())
    drawn = np.random.default_rng(0).permutation(len(pool.vectors))[:_LANDMARKS]
    landmarks = pool.vectors[drawn]

    def rank(inputs: Floats) -> Floats:
        likeness = np.clip((inputs[:, : pool.dimensions] @ landmarks.T).max(axis=1), 0, 1)
        return np.asarray((fitted(inputs) - middle) * likeness**by)

    return rank


def beyond(targets: Floats, columns: Floats) -> Floats:
    """What a linear function of the columns does not tell of the targets."""
    design = np.column_stack((columns, np.ones(len(targets))))
    return np.asarray(targets - design @ np.linalg.lstsq(design, targets, rcond=None)[0])


def _ridge(pool: TrainingSet, setting: Hyperparameters, weights: Floats) -> Linear:
    return ridge(pool.inputs, pool.targets, sample_weights=weights, penalty=_penalties(pool, setting))


def _penalties(pool: TrainingSet, setting: Hyperparameters) -> Floats:
    columns = np.arange(pool.inputs.shape[1])
    return np.where(columns < pool.dimensions, setting.embedding_penalty, setting.feature_penalty)


def _middles(pool: TrainingSet, share: Floats) -> Floats:
    """Weighted mean inputs of each source."""
    sums = np.zeros((int(pool.source.max()) + 1, pool.inputs.shape[1]))
    np.add.at(sums, pool.source, pool.inputs * share[:, None])
    amounts = np.bincount(pool.source, weights=share)
    return np.asarray(sums / np.where(amounts > 0, amounts, 1)[:, None])
