"""The default method: trained here, served by `steersman.classifier.static_head`."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import steersman
from steersman.classifier import artefact, benchmarks, text_features, training_data, validation
from steersman.classifier.bounded_text import MAX_CHARACTERS
from steersman.classifier.embeddings import Identity, StaticEmbeddings, locate
from steersman.classifier.errors import ArtefactError
from steersman.classifier.fitting import Linear, logistic, ridge, spherical_kmeans
from steersman.classifier.methods import Progress
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.static_head import StaticHead, StaticHeadScorer, distance
from steersman.classifier.training_set import Floats, TrainingSet, assemble

NAME = "static_head"
CENTRES = 64
"""Centres of the novelty measure: enough for the topics of some thousand rows, and few enough to cost nothing."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What leave-one-source-out validation chooses."""

    embedding_penalty: float
    """Ridge penalty of the embedding's columns, against a mean loss on standardised columns."""
    feature_penalty: float
    """The same of the text features' columns."""
    source_exponent: float
    """A source of n rows weighs n to this power."""


GRID = tuple(
    Hyperparameters(*values)
    for values in itertools.product((1.0, 10.0, 100.0), (1.0, 10.0, 30.0), (0.0, 0.5))
)


@dataclass(frozen=True, slots=True)
class _Trial:
    hyperparameters: Hyperparameters
    folds: tuple[validation.Fold, ...]

    @property
    def mean(self) -> float:
        return float(np.mean([fold.apgr for fold in self.folds]))


def load(directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> StaticHeadScorer:
    """Load a trained head, the one of that digest where it is told, and the embeddings that it was trained on.

    Raises:
        ClassifierError: The artefact or the embeddings are missing or do not fit each other.
    """
    tensors, manifest = artefact.read(directory, digest=digest)
    if manifest.get("method") != NAME:
        raise ArtefactError(f"{directory} holds no {NAME} artefact")
    expected = Identity(**manifest["embeddings"])
    embeddings = StaticEmbeddings.load(locate(environment), expected=expected)
    return StaticHeadScorer(head=StaticHead.from_tensors(tensors), embeddings=embeddings)


def train(data: Path, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress) -> str:
    """Train on the sources that may ship and write the artefact; the same data and seed give the same bytes."""
    embeddings = StaticEmbeddings.load(locate(environment))
    examples = tuple(_read(data, progress))
    progress("embedding", 0.0)
    pool = assemble(examples, embeddings)
    progress("embedding", 1.0)
    trials = tuple(_validate(pool, [each.source.folder for each in examples], progress))
    best = max(trials, key=lambda trial: trial.mean)
    progress("fitting", 0.0)
    head = _fit_head(pool, best.hyperparameters, np.random.default_rng(seed))
    manifest = _manifest(examples, embeddings=embeddings, best=best, seed=seed)
    digest = artefact.write(out, tensors=head.tensors(), manifest=manifest)
    progress("fitting", 1.0)
    return digest


def fit(pool: TrainingSet, hyperparameters: Hyperparameters) -> Linear:
    """The regression alone."""
    columns = np.arange(pool.inputs.shape[1])
    penalties = (hyperparameters.embedding_penalty, hyperparameters.feature_penalty)
    return ridge(
        pool.inputs,
        pool.targets,
        sample_weights=pool.fitting_weights(hyperparameters.source_exponent),
        penalty=np.where(columns < pool.dimensions, *penalties),
    )


def _read(data: Path, progress: Progress) -> Iterator[training_data.Examples]:
    progress("reading", 0.0)
    forbidden = training_data.runs_of(benchmarks.prompts_with_contaminated(data))
    sources = training_data.sources()
    for number, source in enumerate(sources, start=1):
        yield training_data.read(data / source.folder, source, forbidden=forbidden)
        progress("reading", number / len(sources))


def _validate(pool: TrainingSet, names: Sequence[str], progress: Progress) -> Iterator[_Trial]:
    for number, candidate in enumerate(GRID, start=1):
        folds = validation.leave_one_out(pool, names, fit=functools.partial(fit, hyperparameters=candidate))
        yield _Trial(candidate, folds)
        progress("validating", number / len(GRID))


def _fit_head(
    pool: TrainingSet, hyperparameters: Hyperparameters, generator: np.random.Generator
) -> StaticHead:
    linear = fit(pool, hyperparameters)
    raw = linear(pool.inputs)
    slope, intercept = _calibrate_wins(pool, raw)
    centroids = spherical_kmeans(
        pool.vectors, centres=CENTRES, sample_weights=pool.reference, generator=generator
    )
    distances = _distances(pool.vectors, centroids)
    return StaticHead(
        weights=linear.weights.astype(np.float32),
        bias=linear.bias,
        win_slope=slope,
        win_intercept=intercept,
        centroids=centroids.astype(np.float32),
        score_percentiles=Percentiles.of(raw, weights=pool.reference),
        novelty_percentiles=Percentiles.of(distances, weights=pool.reference),
    )


def _calibrate_wins(pool: TrainingSet, raw: Floats) -> tuple[float, float]:
    """Slope and intercept of the log odds that strong wins.

    Each source has an intercept of its own in the fit, because sources differ in how often strong wins for reasons
    that no text shows; the traffic's is their mean.
    """
    answered = ~np.isnan(pool.wins)
    part = pool.of(answered)
    sources, column = np.unique(part.source, return_inverse=True)
    design = np.column_stack((raw[answered], np.eye(len(sources))[column]))
    slope, *intercepts = logistic(design, part.wins, sample_weights=part.reference)
    return float(slope), float(np.bincount(column, weights=part.reference) @ intercepts)


def _distances(vectors: Floats, centroids: Floats) -> Floats:
    return distance(vectors.astype(np.float32), centroids.astype(np.float32)).astype(np.float64)


def _manifest(
    examples: Sequence[training_data.Examples], *, embeddings: StaticEmbeddings, best: _Trial, seed: int
) -> dict[str, Any]:
    return {
        "method": NAME,
        "seed": seed,
        "hyperparameters": {**dataclasses.asdict(best.hyperparameters), "centres": CENTRES},
        "metrics": {
            "leave_one_source_out_apgr": {fold.source: round(fold.apgr, 4) for fold in best.folds},
            "mean": round(best.mean, 4),
        },
        "bounds": {"characters": MAX_CHARACTERS, "keeps": "the beginning"},
        "reference_traffic": "the training rows, weighted by reference_share; percentiles are among them",
        "data": [_describe(each) for each in examples],
        "text_features": list(text_features.NAMES),
        "embeddings": dataclasses.asdict(embeddings.identity),
        "versions": {"steersman": steersman.__version__}
        | {name: version(name) for name in ("numpy", "tokenizers")},
    }


def _describe(examples: training_data.Examples) -> dict[str, Any]:
    source = examples.source
    return {
        "folder": source.folder,
        "sha256": examples.sha256,
        "licence": source.licence,
        "rows": len(examples.texts),
        "left_out": examples.left_out,
        "reference_share": source.reference_share,
        "strong": list(source.strong),
        "weak": list(source.weak),
        "difficulty": source.difficulty,
    }
