"""RouteLLM's matrix factorisation (arXiv 2406.18665, section 4.2): trained here, served by `steersman.classifier.mf`.

Differences to the paper: the query's vector is the static embedding with the text features beside it, the optimiser
sees all battles at each step, and w2 is folded into the models' vectors, which the loss cannot tell from it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from steersman.classifier import artefact, embedded, factorisation, training
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.embedded import EmbeddedScorer
from steersman.classifier.factorisation import Factors
from steersman.classifier.methods import Progress
from steersman.classifier.mf import FactorHead
from steersman.classifier.training import Material
from steersman.classifier.training_set import Floats, TrainingSet
from steersman.classifier.validation import Ranker

NAME: Final = "mf"
TAKES_BATTLES: Final = True


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What leave-one-source-out validation chooses."""

    width: int
    """Length of a model's vector."""
    embedding_penalty: float
    """Penalty of the embedding's columns, against a mean loss on standardised columns."""
    feature_penalty: float
    """The same of the text features' columns."""
    source_exponent: float
    """A source of n rows weighs n to this power."""


GRID = tuple(
    Hyperparameters(*values) for values in itertools.product((4, 16), (10.0, 30.0), (1.0, 3.0), (0.0, 0.5))
)


def load(directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> EmbeddedScorer:
    """Load trained factors and their embeddings, as `Method.load` says."""
    return embedded.load(directory, environment, digest=digest, method=NAME, head=FactorHead.from_tensors)


def train(
    data: Path,
    *,
    out: Path,
    seed: int,
    environment: Mapping[str, str],
    progress: Progress,
    battles: BattleFile | None = None,
) -> str:
    """Train on the sources that may ship, and on the battles, as `BattleMethod.train` says."""
    material = training.prepare(data, environment=environment, progress=progress, battles=battles)
    best = training.choose(material, GRID, fit=partial(_rank, seed=seed), progress=progress)
    progress("fitting", 0.0)
    head = _fit_head(material.pool, best.hyperparameters, seed=seed)
    described = training.manifest(
        material, method=NAME, seed=seed, hyperparameters=dataclasses.asdict(best.hyperparameters), trial=best
    )
    models = _describe(material, head.contrast)
    digest = artefact.write(out, tensors=head.tensors(), manifest=described | {"models": models})
    progress("fitting", 1.0)
    return digest


def fit(pool: TrainingSet, hyperparameters: Hyperparameters, *, seed: int) -> Factors:
    """The factors alone."""
    columns = np.arange(pool.inputs.shape[1])
    penalties = (hyperparameters.embedding_penalty, hyperparameters.feature_penalty)
    battles = pool.battles
    fought = np.bincount(battles.row, minlength=len(pool.source))
    weights = pool.fitting_weights(hyperparameters.source_exponent)[battles.row] / fought[battles.row]
    return factorisation.fit(
        pool.inputs,
        battles,
        weights=weights,
        penalty=np.where(columns < pool.dimensions, *penalties),
        width=hyperparameters.width,
        generator=np.random.default_rng(seed),
    )


def contrast(pool: TrainingSet) -> Floats:
    """Part of each model in strong less weak: a source counts by its part of the traffic, its models alike."""
    battles = pool.battles
    fought = np.bincount(np.concatenate((battles.first, battles.second)), minlength=len(battles.models)) > 0
    source = np.array([model.source for model in battles.models])
    side = np.array([model.side for model in battles.models]) * fought
    shares = np.bincount(pool.source, weights=pool.reference, minlength=source.max() + 1)
    parts = np.zeros(len(side))
    for which in (1, -1):
        alike = np.bincount(source, weights=side == which, minlength=len(shares))
        part = np.where(side == which, shares[source] / np.maximum(alike[source], 1), 0.0)
        parts += which * part / part.sum()
    return parts


def _rank(pool: TrainingSet, hyperparameters: Hyperparameters, *, seed: int) -> Ranker:
    factors, parts = fit(pool, hyperparameters, seed=seed), contrast(pool)
    return lambda inputs: factors.strengths(inputs) @ parts


def _fit_head(pool: TrainingSet, hyperparameters: Hyperparameters, *, seed: int) -> FactorHead:
    factors, parts = fit(pool, hyperparameters, seed=seed), contrast(pool)
    reference = training.reference_of(
        pool,
        factors.strengths(pool.inputs) @ parts,
        odds=training.ODDS_THEMSELVES,
        generator=np.random.default_rng(seed),
    )
    return FactorHead(
        projection=factors.projection.astype(np.float32),
        offset=factors.offset.astype(np.float32),
        models=factors.models.astype(np.float32),
        contrast=parts.astype(np.float32),
        reference=reference,
    )


def _describe(material: Material, parts: Any) -> list[dict[str, Any]]:
    return [
        {
            "source": material.examples[model.source].source.folder,
            "name": model.name,
            "contrast": round(float(part), 4),
        }
        for model, part in zip(material.pool.battles.models, parts, strict=True)
    ]
