"""What trainings have in common: reading under the guard, choosing by validation, telling outputs, the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

import steersman
from steersman.classifier import battle_file, benchmarks, text_features, training_data, validation
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.bounded_text import MAX_CHARACTERS
from steersman.classifier.embeddings import StaticEmbeddings, locate
from steersman.classifier.evaluation.bootstrap import Estimate
from steersman.classifier.fitting import logistic, spherical_kmeans
from steersman.classifier.methods import Progress
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.reference import Reference, distance
from steersman.classifier.training_data import Examples
from steersman.classifier.training_set import Floats, TrainingSet, assemble

CENTRES: Final = 64
"""Centres of the novelty measure: enough for the topics of some thousand rows, and few enough to cost nothing."""

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class WinOdds:
    """How raw outputs become log odds that strong wins."""

    slope: float
    intercept: float


ODDS_THEMSELVES: Final = WinOdds(slope=1.0, intercept=0.0)
"""For a method whose raw output is the log odds."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained on."""

    examples: tuple[Examples, ...]
    embeddings: StaticEmbeddings
    pool: TrainingSet


@dataclass(frozen=True, slots=True)
class Trial(Generic[H]):
    """A setting, and how it did on the sources left out."""

    hyperparameters: H
    folds: tuple[validation.Fold, ...]

    @property
    def mean(self) -> float:
        """Mean APGR over the folds."""
        return float(np.mean([fold.apgr for fold in self.folds]))


def read(data: Path, *, progress: Progress, battles: BattleFile | None = None) -> tuple[Examples, ...]:
    """Read the sources that may ship, and the user's battles, without what is near an evaluation prompt.

    A source that is not there is an error, unless it cannot be fetched: then the others have to do.

    Raises:
        DataError: A file is missing or malformed.
    """
    return tuple(_read(data, progress, battles))


def guard(data: Path) -> frozenset[int]:
    """Fingerprints of the evaluation prompts in a data folder, of which nothing that is learnt from may have one.

    Raises:
        DataError: The evaluation files are missing or malformed.
    """
    return training_data.runs_of(benchmarks.texts_to_keep_from(data))


def prepare(
    data: Path, *, environment: Mapping[str, str], progress: Progress, battles: BattleFile | None = None
) -> Material:
    """Read, embed and pool.

    Raises:
        ClassifierError: The data or the embeddings cannot be used.
    """
    embeddings = StaticEmbeddings.load(locate(environment))
    examples = read(data, progress=progress, battles=battles)
    progress("embedding", 0.0)
    pool = assemble(examples, embeddings)
    progress("embedding", 1.0)
    return Material(examples, embeddings, pool)


def choose(
    material: Material,
    grid: Sequence[H],
    *,
    fit: Callable[[TrainingSet, H], validation.Ranker],
    progress: Progress,
    measured: npt.NDArray[np.bool_] | None = None,
) -> Trial[H]:
    """The setting with the best mean APGR on the sources left out, of which only `measured` rows are ranked."""
    names = [each.source.folder for each in material.examples]
    trials = []
    for number, candidate in enumerate(grid, start=1):
        folds = validation.leave_one_out(
            material.pool,
            names,
            fit=lambda part: fit(part, candidate),  # noqa: B023  # called at once
            measured=measured,
        )
        trials.append(Trial(candidate, folds))
        progress("validating", number / len(grid))
    return max(trials, key=lambda trial: trial.mean)


def reference_of(
    pool: TrainingSet, raw: Floats, *, odds: WinOdds, generator: np.random.Generator
) -> Reference:
    """Tell raw outputs of the pool's rows against each other."""
    centroids = spherical_kmeans(
        pool.vectors, centres=CENTRES, sample_weights=pool.reference, generator=generator
    )
    distances = _distances(pool.vectors, centroids)
    return Reference(
        win_slope=odds.slope,
        win_intercept=odds.intercept,
        centroids=centroids.astype(np.float32),
        score_percentiles=Percentiles.of(raw, weights=pool.reference),
        novelty_percentiles=Percentiles.of(distances, weights=pool.reference),
    )


def win_odds(pool: TrainingSet, raw: Floats) -> WinOdds:
    """Fit the log odds that strong wins to the rows that models have answered.

    Each source has an intercept of its own in the fit, because sources differ in how often strong wins for reasons
    that no text shows; the traffic's is their mean.
    """
    answered = ~np.isnan(pool.wins)
    part = pool.of(answered)
    sources, column = np.unique(part.source, return_inverse=True)
    design = np.column_stack((raw[answered], np.eye(len(sources))[column]))
    slope, *intercepts = logistic(design, part.wins, sample_weights=part.reference)
    return WinOdds(float(slope), float(np.bincount(column, weights=part.reference) @ intercepts))


def metrics(folds: Sequence[validation.Fold], *, seed: int) -> dict[str, Any]:
    """What validation found, with 95 % intervals over the rows of each source, for a manifest."""
    found = validation.measure(folds, seed=seed)
    return {
        "leave_one_source_out_apgr": {name: _told(each) for name, each in found.by_source.items()},
        "mean": _told(found.mean),
    }


def manifest(
    material: Material, *, method: str, seed: int, hyperparameters: Mapping[str, Any], trial: Trial[Any]
) -> dict[str, Any]:
    """Everything that a head came from."""
    return {
        "method": method,
        "seed": seed,
        "hyperparameters": {**hyperparameters, "centres": CENTRES},
        "metrics": metrics(trial.folds, seed=seed),
        **bounds(),
        **traffic(material.examples),
        "text_features": list(text_features.NAMES),
        "embeddings": dataclasses.asdict(material.embeddings.identity),
        "versions": versions("numpy", "tokenizers"),
    }


def bounds() -> dict[str, Any]:
    """How much of a text is read."""
    return {"bounds": {"characters": MAX_CHARACTERS, "keeps": "the beginning"}}


def traffic(examples: Sequence[Examples]) -> dict[str, Any]:
    """What percentiles are among, and the files it came from."""
    described: dict[str, Any] = {
        "reference_traffic": "the training rows, weighted by reference_share; percentiles are among them",
        "data": [_describe(each) for each in examples],
    }
    read_from = {each.source.folder for each in examples}
    if absent := [each.folder for each in training_data.sources() if each.folder not in read_from]:
        described["data_not_there"] = absent
    return described


def versions(*packages: str) -> dict[str, str]:
    """Of the product and of the packages that numbers depend on."""
    return {"steersman": steersman.__version__} | {name: version(name) for name in packages}


def _read(data: Path, progress: Progress, battles: BattleFile | None) -> Iterator[Examples]:
    progress("reading", 0.0)
    forbidden = guard(data)
    missing = training_data.without_home(data)
    if missing:
        progress(f"without {', '.join(source.folder for source in missing)}", 1.0)
    sources = [source for source in training_data.sources() if source not in missing]
    if battles is not None:
        yield battle_file.read(battles, forbidden=forbidden)
    for number, source in enumerate(sources, start=1):
        yield training_data.read(data / source.folder, source, forbidden=forbidden)
        progress("reading", number / len(sources))


def _told(estimate: Estimate) -> dict[str, float]:
    return {name: round(value, 4) for name, value in dataclasses.asdict(estimate).items()}


def _distances(vectors: Floats, centroids: Floats) -> Floats:
    return distance(vectors.astype(np.float32), centroids.astype(np.float32)).astype(np.float64)


def _describe(examples: Examples) -> dict[str, Any]:
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
