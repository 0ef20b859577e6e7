"""The default method: trained here, served by `steersman.classifier.static_head`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from steersman.classifier import artefact, embedded, training
from steersman.classifier.embedded import EmbeddedScorer
from steersman.classifier.fitting import Linear, ridge
from steersman.classifier.methods import Progress
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training_set import TrainingSet

NAME: Final = "static_head"
TAKES_BATTLES: Final = False


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What leave-one-source-out validation chooses."""

    embedding_penalty: float
    """Ridge penalty of the embedding's columns, against a mean loss on standardised columns."""
    feature_penalty: float
    """The same of the text features' columns."""
    source_exponent: float
    """A source of n rows weighs n to this power."""

    @classmethod
    def from_manifest(cls, manifest: artefact.Manifest) -> Hyperparameters:
        """Those that an artefact was trained with."""
        told = manifest["hyperparameters"]
        return cls(**{each.name: told[each.name] for each in dataclasses.fields(cls)})


GRID = tuple(
    Hyperparameters(*values)
    for values in itertools.product((1.0, 10.0, 100.0), (1.0, 10.0, 30.0), (0.0, 0.5))
)


def load(directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> EmbeddedScorer:
    """Load a trained head and its embeddings, as `Method.load` says."""
    return embedded.load(directory, environment, digest=digest, method=NAME, head=StaticHead.from_tensors)


def train(data: Path, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress) -> str:
    """Train on the sources that may ship and write the artefact; the same data and seed give the same bytes."""
    material = training.prepare(data, environment=environment, progress=progress)
    best = training.choose(material, GRID, fit=fit, progress=progress)
    progress("fitting", 0.0)
    head = _fit_head(material.pool, best.hyperparameters, np.random.default_rng(seed))
    described = training.manifest(
        material, method=NAME, seed=seed, hyperparameters=dataclasses.asdict(best.hyperparameters), trial=best
    )
    digest = artefact.write(out, tensors=head.tensors(), manifest=described)
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


def _fit_head(
    pool: TrainingSet, hyperparameters: Hyperparameters, generator: np.random.Generator
) -> StaticHead:
    linear = fit(pool, hyperparameters)
    raw = linear(pool.inputs)
    return StaticHead(
        weights=linear.weights.astype(np.float32),
        bias=linear.bias,
        reference=training.reference_of(pool, raw, odds=training.win_odds(pool, raw), generator=generator),
    )
