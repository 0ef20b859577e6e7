"""A trained head made to fit the user's own traffic with some hundred labels of it.

The new head is a regression on the same inputs and on the old head's output (`label_regression`), folded into one
head of the same form, so that what serves the shipped one serves it too.

Percentiles are told among the labelled prompts, each scored by a head that did not see its label and measured from
centres that were found without it: a head is bolder on what it has seen, and what it has seen lies nearer to its
centres than other queries of the same traffic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from steersman.classifier import artefact, label_regression, training
from steersman.classifier.embeddings import Identity, StaticEmbeddings, locate
from steersman.classifier.evaluation import measures
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.bootstrap import Estimate, bootstrap
from steersman.classifier.fitting import logistic, spherical_kmeans
from steersman.classifier.labels import Labels
from steersman.classifier.methods import Progress
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.reference import Reference, distance
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training_set import Floats, inputs_of

METHOD: Final = "static_head"
"""The one method whose head can be adapted."""

MOST: Final = 3000
"""Labels that are fitted; of more as many are drawn: a fit takes the cube of their number, a score each of them."""

_CENTRES: Final = 64
_LABELS_PER_CENTRE: Final = 4
_FOLDS: Final = 10
"""Parts of the labelled prompts, each of which is measured from centres of the others."""
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
    tensors, manifest = artefact.read_of(METHOD, base)
    old = StaticHead.from_tensors(tensors)
    embeddings = StaticEmbeddings.load(locate(environment), expected=Identity(**manifest["embeddings"]))
    generator = np.random.default_rng(seed)
    progress("embedding", 0.0)
    drawn = labels.draw(MOST, generator)
    inputs = inputs_of(drawn.texts, embeddings)
    progress("embedding", 1.0)
    progress("fitting", 0.0)
    fitted = label_regression.fit(inputs, drawn.gains, old)
    head = _head(inputs, drawn, old, fitted=fitted, generator=generator)
    before, after = (
        _apgr(drawn, scores, seed=seed) for scores in (label_regression.outputs(old, inputs), fitted.left_out)
    )
    progress("fitting", 1.0)
    described = _manifest(manifest, labels, fitted, before=before, after=after, seed=seed)
    return Adapted(artefact.write(out, tensors=head.tensors(), manifest=described), before, after)


def _head(
    inputs: Floats,
    labels: Labels,
    old: StaticHead,
    *,
    fitted: label_regression.Fitted,
    generator: np.random.Generator,
) -> StaticHead:
    unseen = fitted.left_out
    alike = np.full(len(unseen), 1 / len(unseen))
    slope, intercept = logistic(
        np.column_stack((unseen, np.ones_like(unseen))), labels.wins, sample_weights=alike
    )
    vectors = inputs[:, : old.reference.centroids.shape[1]]
    reference = Reference(
        win_slope=float(slope),
        win_intercept=float(intercept),
        centroids=_centroids(vectors, old, generator),
        score_percentiles=Percentiles.of(unseen, weights=alike),
        novelty_percentiles=Percentiles.of(_left_out_distances(vectors, old, generator), weights=alike),
    )
    return StaticHead(
        weights=fitted.linear.weights.astype(np.float32),
        bias=fitted.linear.bias,
        reference=reference,
        bumps=fitted.bumps,
    )


def _centroids(vectors: Floats, old: StaticHead, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """The old head's centres, and some of the labelled prompts."""
    centres = min(_CENTRES, max(1, len(vectors) // _LABELS_PER_CENTRE))
    found = spherical_kmeans(
        vectors, centres=centres, sample_weights=np.ones(len(vectors)), generator=generator
    )
    return np.vstack((old.reference.centroids, found)).astype(np.float32)


def _left_out_distances(vectors: Floats, old: StaticHead, generator: np.random.Generator) -> Floats:
    """Of each labelled prompt, as far from the nearest centre as if it had not been labelled."""
    fold = generator.permutation(len(vectors)) % _FOLDS
    distances = np.empty(len(vectors))
    for each in range(_FOLDS):
        left_out = fold == each
        centroids = _centroids(vectors[~left_out], old, generator)
        distances[left_out] = distance(vectors[left_out].astype(np.float32), centroids)
    return distances


def _apgr(labels: Labels, scores: Floats, *, seed: int) -> Estimate:
    """With its bootstrap interval over the labels."""
    measured = Benchmark("labels", labels.texts, strong=labels.gains, weak=np.zeros_like(labels.gains))
    ranked = measures.of_ranking(measured, scores)
    return bootstrap(ranked, queries=len(scores), resamples=_RESAMPLES, seed=seed)[measures.APGR].at()


def _manifest(
    base: Mapping[str, Any],
    labels: Labels,
    fitted: label_regression.Fitted,
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
            **label_regression.SETTING,
            "amplitude": fitted.amplitude,
        },
        "metrics": {
            "apgr_before": dataclasses.asdict(before),
            "apgr_left_out": dataclasses.asdict(after),
        },
        "reference_traffic": "the labelled prompts",
        "adapted_from": {"artefact_digest": base[artefact.DIGEST], "data": base.get("data", [])},
        "labels": {
            "sha256": labels.sha256,
            "rows": labels.rows,
            "left_out": labels.left_out,
            "prompts": len(labels.texts),
            "fitted": len(fitted.left_out),
        },
        "versions": training.versions("numpy", "tokenizers"),
    }
