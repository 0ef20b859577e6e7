"""RouteLLM's BERT classifier (arXiv 2406.18665, section 4.3): an encoder that is fine-tuned as a whole, with one logit.

Torch trains it, and only there is it needed: what serves is an ONNX graph beside the artefact
(`steersman.classifier.encoder`). The encoder is the user's to name; none ships.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from steersman.classifier import artefact, embedded, fine_tuning, training
from steersman.classifier.artefact import Manifest
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embedded import EmbeddedScorer
from steersman.classifier.encoder import GRAPH_FILE, TOKENIZER_FILE, VARIABLE, OnnxEncoder
from steersman.classifier.errors import DataError, ModelError
from steersman.classifier.fine_tuning import Encoders, Lesson
from steersman.classifier.methods import Progress
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training import Material
from steersman.classifier.training_set import Floats, TrainingSet
from steersman.classifier.validation import Ranker

NAME: Final = "bert"
TAKES_BATTLES: Final = True
EPOCHS_VARIABLE: Final = "STEERSMAN_EPOCHS"
"""Environment variable: passes over the data."""
EPOCHS: Final = 2
"""Where nothing else is told."""

_SOURCE_EXPONENT: Final = 0.5
"""As validation chose for `static_head`: a source of n rows weighs n to this power."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fine-tuning was done with; validation tells how well it does, and chooses nothing."""

    epochs: int
    learning_rate: float
    source_exponent: float = _SOURCE_EXPONENT


def load(directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> EmbeddedScorer:
    """Load a fine-tuned encoder, as `Method.load` says."""

    def features(manifest: Manifest) -> OnnxEncoder:
        graph, tokenizer = (
            artefact.read_file(directory, name, manifest) for name in (GRAPH_FILE, TOKENIZER_FILE)
        )
        return OnnxEncoder.load(graph=graph, tokenizer=tokenizer, tokens=manifest["bounds"]["tokens"])

    return embedded.load(
        directory, environment, digest=digest, method=NAME, head=StaticHead.from_tensors, features=features
    )


def train(
    data: Path,
    *,
    out: Path,
    seed: int,
    environment: Mapping[str, str],
    progress: Progress,
    battles: BattleFile | None = None,
) -> str:
    """Fine-tune on the sources that may ship, and on the battles, as `BattleMethod.train` says."""
    chosen = Hyperparameters(_epochs(environment), fine_tuning.LEARNING_RATE)
    if not (named := environment.get(VARIABLE)):
        raise ModelError(f"no encoder is named: use --encoder NAME|DIR or set {VARIABLE}")
    encoders = Encoders(named, seed=seed)
    read = training.prepare(data, environment=environment, progress=progress, battles=battles)
    tuning = Tuning(encoders, read, progress)
    trial = training.choose(tuning.material, (chosen,), fit=tuning.rank, progress=progress)
    tuned = tuning.tune(tuning.material.pool, chosen)
    files = {GRAPH_FILE: tuned.graph(), TOKENIZER_FILE: encoders.tokenizer}
    served = OnnxEncoder.load(graph=files[GRAPH_FILE], tokenizer=encoders.tokenizer, tokens=encoders.tokens)
    head = _head(read.pool, served.extract(tuning.utf8)[:, 0].astype(np.float64), np.random.default_rng(seed))
    described = training.manifest(
        read, method=NAME, seed=seed, hyperparameters=dataclasses.asdict(chosen), trial=trial
    )
    described["bounds"] |= {"tokens": encoders.tokens}
    described["versions"] |= training.versions("onnxruntime", "torch", "transformers")
    described |= {"encoder": encoders.identity}
    return artefact.write(out, tensors=head.tensors(), manifest=described, files=files)


class Tuning:
    """The fine-tunings of one training: one without each source that is left out, and the one that is kept.

    Args:
        encoders: The encoder.
        read: What is trained on.
        progress: Told of each fine-tuning.
    """

    def __init__(self, encoders: Encoders, read: Material, progress: Progress) -> None:
        texts = [text for examples in read.examples for text in examples.texts]
        self.utf8 = BoundedTexts.of(texts).utf8
        self._texts = [text.decode() for text in self.utf8]
        self._encoders = encoders
        self._progress = progress
        self._begun = 0
        rows = np.arange(len(texts), dtype=np.float64)[:, None]
        self.material = replace(read, pool=replace(read.pool, inputs=np.hstack((read.pool.inputs, rows))))
        """With the number of each row as the last of its inputs, by which its text is found."""

    def tune(self, pool: TrainingSet, chosen: Hyperparameters) -> fine_tuning.Tuned:
        """Fine-tune on those rows of the material that have a label."""
        self._begun += 1
        pool = pool.of(~np.isnan(_labels(pool)))
        lesson = Lesson(
            texts=self._texts_of(pool.inputs),
            labels=_labels(pool),
            weights=_weights(pool, chosen.source_exponent),
            source=pool.source,
        )
        return self._encoders.tune(lesson, epochs=chosen.epochs, progress=self._told(self._begun))

    def rank(self, pool: TrainingSet, chosen: Hyperparameters) -> Ranker:
        """Fine-tune, and rank rows of the material by it."""
        tuned = self.tune(pool, chosen)
        return lambda inputs: tuned.logits(self._texts_of(inputs))[:, 0]

    def _texts_of(self, inputs: Floats) -> list[str]:
        return [self._texts[int(row)] for row in inputs[:, -1]]

    def _told(self, number: int) -> Callable[[float], None]:
        return lambda done: self._progress(f"fine-tuning {number}", done)


def _labels(pool: TrainingSet) -> Floats:
    """Share of won pairs; where no model answered, what rises with the target as such a share would.

    NaN for a battle that says nothing of strong and weak.
    """
    return np.where(np.isnan(pool.wins), 1 / (1 + np.exp(-pool.targets)), pool.wins)


def _weights(pool: TrainingSet, exponent: float) -> Floats:
    weights = pool.fitting_weights(exponent)
    return np.asarray(weights / weights.mean())


def _head(pool: TrainingSet, raw: Floats, generator: np.random.Generator) -> StaticHead:
    """Hands the logit on."""
    weights = np.zeros(pool.dimensions + 1, dtype=np.float32)
    weights[-1] = 1.0
    odds = training.win_odds(pool, raw)
    return StaticHead(
        weights=weights,
        bias=0.0,
        reference=training.reference_of(pool, raw, odds=odds, generator=generator),
    )


def _epochs(environment: Mapping[str, str]) -> int:
    told = environment.get(EPOCHS_VARIABLE) or str(EPOCHS)
    if not told.isdecimal() or int(told) < 1:
        raise DataError(f"'{told}' is no number of epochs; 1 is the least")
    return int(told)
