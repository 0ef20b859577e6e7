"""A trained head made to fit the user's own traffic with some hundred labels of it.

The new head is a ridge regression on the same inputs and on the old head's output, folded into one head of the same
form: what serves the shipped one serves it too. Where labels are few the old output carries it, where they are many
the inputs do. The penalties were chosen on the training sources, each adapted to from a head that was trained without
it (docs/classifier.md); a choice by cross-validation on the labels themselves was worse, because hundreds of labels
are too few to choose by.

Percentiles are told among the labelled prompts, each scored by a head that did not see its label: a head is bolder on
what it has seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

import steersman
from steersman.classifier import artefact
from steersman.classifier.embeddings import Identity, StaticEmbeddings, locate
from steersman.classifier.errors import ArtefactError
from steersman.classifier.evaluation import measures
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.bootstrap import Estimate, bootstrap
from steersman.classifier.fitting import Linear, logistic, ridge, spherical_kmeans
from steersman.classifier.labels import Labels
from steersman.classifier.methods import Progress
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.static_head import StaticHead, distance
from steersman.classifier.training_set import Floats, inputs_of

METHOD: Final = "static_head"
"""The one method whose head can be adapted."""

_EMBEDDING_PENALTY: Final = 30.0
_FEATURE_PENALTY: Final = 3.0
_OLD_PENALTY: Final = 1.0
_FOLDS: Final = 10
_CENTRES: Final = 64
_LABELS_PER_CENTRE: Final = 4
_RESAMPLES: Final = 500


@dataclass(frozen=True, slots=True)
class Adapted:
    """What an adaptation came to."""

    digest: str
    before: Estimate
    """APGR of the old head on the labels."""
    after: Estimate
    """APGR of the new one, each label scored by a head that did not see it."""


def adapt(
    base: Path, labels: Labels, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress
) -> Adapted:
    """Adapt an artefact to labels and write the new one, as a whole or not at all.

    Raises:
        ClassifierError: The artefact is of another method, or it or the embeddings cannot be used.
    """
    tensors, manifest = artefact.read(base)
    if manifest.get("method") != METHOD:
        raise ArtefactError(f"{base} holds no {METHOD} artefact; only such a one can be adapted")
    old = StaticHead.from_tensors(tensors)
    embeddings = StaticEmbeddings.load(locate(environment), expected=Identity(**manifest["embeddings"]))
    generator = np.random.default_rng(seed)
    progress("embedding", 0.0)
    inputs = inputs_of(labels.texts, embeddings)
    progress("embedding", 1.0)
    unseen = _out_of_fold(inputs, labels, old, generator=generator, progress=progress)
    head = _head(inputs, labels, old, unseen=unseen, generator=generator)
    before, after = (_apgr(labels, scores, seed=seed) for scores in (inputs @ old.weights + old.bias, unseen))
    described = _manifest(manifest, labels, before=before, after=after, seed=seed)
    return Adapted(artefact.write(out, tensors=head.tensors(), manifest=described), before, after)


def fit(inputs: Floats, gains: Floats, old: StaticHead) -> Linear:
    """The regression alone, told on the inputs."""
    columns = np.column_stack((inputs, inputs @ old.weights + old.bias))
    dimensions = old.centroids.shape[1]
    features = inputs.shape[1] - dimensions
    penalty = np.concatenate(
        (
            np.full(dimensions, _EMBEDDING_PENALTY),
            np.full(features, _FEATURE_PENALTY),
            np.full(1, _OLD_PENALTY),
        )
    )
    linear = ridge(columns, gains, sample_weights=np.ones(len(gains)), penalty=penalty)
    share = linear.weights[-1]
    return Linear(weights=linear.weights[:-1] + share * old.weights, bias=linear.bias + share * old.bias)


def _out_of_fold(
    inputs: Floats, labels: Labels, old: StaticHead, *, generator: np.random.Generator, progress: Progress
) -> Floats:
    """Raw output of each labelled prompt by a head that was fitted without it."""
    folds = np.array_split(generator.permutation(len(labels.gains)), _FOLDS)
    outputs = np.empty(len(labels.gains))
    for number, fold in enumerate(folds, start=1):
        seen = np.ones(len(outputs), dtype=np.bool_)
        seen[fold] = False
        outputs[fold] = fit(inputs[seen], labels.gains[seen], old)(inputs[fold])
        progress("validating", number / _FOLDS)
    return outputs


def _head(
    inputs: Floats, labels: Labels, old: StaticHead, *, unseen: Floats, generator: np.random.Generator
) -> StaticHead:
    linear = fit(inputs, labels.gains, old)
    alike = np.full(len(unseen), 1 / len(unseen))
    slope, intercept = logistic(
        np.column_stack((unseen, np.ones_like(unseen))), labels.wins, sample_weights=alike
    )
    vectors = inputs[:, : old.centroids.shape[1]]
    centres = min(_CENTRES, max(1, len(vectors) // _LABELS_PER_CENTRE))
    found = spherical_kmeans(vectors, centres=centres, sample_weights=alike, generator=generator)
    centroids = np.vstack((old.centroids, found)).astype(np.float32)
    distances = distance(vectors.astype(np.float32), centroids).astype(np.float64)
    return StaticHead(
        weights=linear.weights.astype(np.float32),
        bias=linear.bias,
        win_slope=float(slope),
        win_intercept=float(intercept),
        centroids=centroids,
        score_percentiles=Percentiles.of(unseen, weights=alike),
        novelty_percentiles=Percentiles.of(distances, weights=alike),
    )


def _apgr(labels: Labels, scores: Floats, *, seed: int) -> Estimate:
    """With its bootstrap interval over the labels."""
    measured = Benchmark("labels", labels.texts, strong=labels.gains, weak=np.zeros_like(labels.gains))
    ranked = measures.of_ranking(measured, scores)
    return bootstrap(ranked, queries=len(scores), resamples=_RESAMPLES, seed=seed)[measures.APGR].at()


def _manifest(
    base: Mapping[str, Any],
    labels: Labels,
    *,
    before: Estimate,
    after: Estimate,
    seed: int,
) -> dict[str, Any]:
    kept = ("method", "bounds", "text_features", "embeddings")
    return {
        **{key: base[key] for key in kept},
        "seed": seed,
        "hyperparameters": {
            "embedding_penalty": _EMBEDDING_PENALTY,
            "feature_penalty": _FEATURE_PENALTY,
            "old_penalty": _OLD_PENALTY,
        },
        "metrics": {
            "apgr_before": dataclasses.asdict(before),
            "apgr_cross_validated": dataclasses.asdict(after),
        },
        "reference_traffic": "the labelled prompts",
        "adapted_from": {"artefact_digest": base[artefact.DIGEST], "data": base.get("data", [])},
        "labels": {"sha256": labels.sha256, "rows": labels.rows, "prompts": len(labels.texts)},
        "versions": {"steersman": steersman.__version__}
        | {name: version(name) for name in ("numpy", "tokenizers")},
    }
