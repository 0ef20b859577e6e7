"""Training of the methods that keep rows: which rows, which labels, and the one parameter by validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from steersman.classifier import artefact, embedded, training
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.embedded import EmbeddedScorer
from steersman.classifier.methods import Progress
from steersman.classifier.neighbours import NeighbourHead, Rows, Rule
from steersman.classifier.training import WinOdds
from steersman.classifier.training_set import Floats, TrainingSet
from steersman.classifier.validation import Ranker


@dataclass(frozen=True, slots=True)
class NeighbourMethod:
    """What sets two such methods apart."""

    name: str
    rule: Rule
    parameter: str
    """What the rule's parameter is called."""
    grid: tuple[float, ...]
    """Its candidates."""
    labels: Callable[[TrainingSet], Floats]
    """One a row of the training set; NaN for a row that is not kept."""
    odds: Callable[[TrainingSet, Floats], WinOdds]
    """How raw outputs become the odds that strong wins."""

    def load(
        self, directory: Path, environment: Mapping[str, str], *, digest: str | None = None
    ) -> EmbeddedScorer:
        """Load the kept rows and their embeddings, as `Method.load` says."""
        head = partial(NeighbourHead.from_tensors, rule=self.rule)
        return embedded.load(directory, environment, digest=digest, method=self.name, head=head)

    def train(
        self,
        data: Path,
        *,
        out: Path,
        seed: int,
        environment: Mapping[str, str],
        progress: Progress,
        battles: BattleFile | None = None,
    ) -> str:
        """Keep rows of the sources that may ship, and of the battles, as `BattleMethod.train` says."""
        material = training.prepare(data, environment=environment, progress=progress, battles=battles)
        best = training.choose(material, self.grid, fit=self._fit, progress=progress)
        progress("fitting", 0.0)
        head = self._head(material.pool, best.hyperparameters, np.random.default_rng(seed))
        described = training.manifest(
            material,
            method=self.name,
            seed=seed,
            hyperparameters={self.parameter: best.hyperparameters, "rows": len(head.rows.labels)},
            trial=best,
        )
        digest = artefact.write(out, tensors=head.tensors(), manifest=described)
        progress("fitting", 1.0)
        return digest

    def _fit(self, pool: TrainingSet, parameter: float) -> Ranker:
        rows = _rows(pool, self.labels(pool))

        def rank(inputs: Floats) -> Floats:
            strangers = np.full(len(inputs), -1)
            vectors = inputs[:, : pool.dimensions].astype(np.float32)
            raw = rows.raw_of_own(vectors, strangers, rule=self.rule, parameter=parameter)
            return raw.astype(np.float64)

        return rank

    def _head(self, pool: TrainingSet, parameter: float, generator: np.random.Generator) -> NeighbourHead:
        labels = self.labels(pool)
        kept = ~np.isnan(labels)
        own = np.where(kept, np.cumsum(kept) - 1, -1)
        rows = _rows(pool, labels)
        vectors = pool.vectors.astype(np.float32)
        raw = rows.raw_of_own(vectors, own, rule=self.rule, parameter=parameter).astype(np.float64)
        reference = training.reference_of(pool, raw, odds=self.odds(pool, raw), generator=generator)
        return NeighbourHead(rows=rows, rule=self.rule, parameter=parameter, reference=reference)


def _rows(pool: TrainingSet, labels: Floats) -> Rows:
    kept = ~np.isnan(labels)
    return Rows.of(pool.vectors[kept], labels[kept])
