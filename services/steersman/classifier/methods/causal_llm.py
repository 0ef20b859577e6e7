"""RouteLLM's causal LLM classifier (arXiv 2406.18665, section 4.4), with a head on a frozen model, not fine-tuned.

A language model of any size that llama.cpp can run reads the query and is asked how hard it is; the head reads its
hidden state where it would answer (`steersman.classifier.language_model`), beside the output of the head that
`static_head` would have.

Judging takes a second of a processor core, so that only some rows of each source are judged. The static part learns
from all of them, and so does nothing else.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier import artefact, embedded, text_features, training
from steersman.classifier.artefact import Manifest
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embedded import EmbeddedScorer
from steersman.classifier.errors import DataError
from steersman.classifier.fitting import Linear, ridge
from steersman.classifier.judgement import JudgedFeatures, Judgements
from steersman.classifier.language_model import QUESTION, Identity, LanguageModel, Question, locate, located
from steersman.classifier.methods import Progress, static_head
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training import Material
from steersman.classifier.training_set import TrainingSet

NAME: Final = "causal_llm"
TAKES_BATTLES: Final = False

ROWS_VARIABLE: Final = "STEERSMAN_JUDGED_ROWS"
"""Environment variable: how many rows of a source are judged, at most."""
CACHE_VARIABLE: Final = "STEERSMAN_JUDGEMENTS_DIR"
"""Environment variable: the folder that keeps judgements between trainings; without it, the artefact's."""

ROWS: Final = 250
"""Judged of a source, where nothing else is told."""
_FEWEST: Final = 10
_STATIC: Final = static_head.Hyperparameters(
    embedding_penalty=100.0, feature_penalty=30.0, source_exponent=0.5
)
"""What validation chose for `static_head`."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What leave-one-source-out validation chooses."""

    static_penalty: float
    """Ridge penalty of the static head's output, against a mean loss on standardised columns."""
    state_penalty: float
    """The same of the columns of the hidden state."""
    source_exponent: float
    """A source of n judged rows weighs n to this power."""


GRID = tuple(
    Hyperparameters(*values)
    for values in itertools.product((0.1, 1.0, 10.0), (1.0, 3.0, 10.0, 30.0), (0.0, 0.5))
)


def load(directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> EmbeddedScorer:
    """Load a trained head, its embeddings and its language model, as `Method.load` says."""

    def features(manifest: Manifest) -> JudgedFeatures:
        identity = Identity(**manifest["language_model"])
        model = LanguageModel.load(located(identity, environment), sha256=identity.sha256)
        return JudgedFeatures(model, Question(**manifest["question"]))

    return embedded.load(
        directory, environment, digest=digest, method=NAME, head=StaticHead.from_tensors, features=features
    )


def train(data: Path, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress) -> str:
    """Judge rows of the sources that may ship, train on them, and write the artefact, as `Method.train` says."""
    most = _most(environment)
    model = LanguageModel.load(locate(environment))
    read = training.prepare(data, environment=environment, progress=progress)
    rows = sampled(read.pool.source, most=most, generator=np.random.default_rng(seed))
    judgements = Judgements(Path(environment.get(CACHE_VARIABLE) or out), model=model, question=QUESTION)
    material = _judged(read, rows, judgements, progress)
    best = training.choose(material, GRID, fit=fit, progress=progress, measured=rows)
    progress("fitting", 0.0)
    head = _fit_head(material.pool, best.hyperparameters, np.random.default_rng(seed))
    chosen = dataclasses.asdict(best.hyperparameters) | {"judged_rows": int(rows.sum())}
    described = training.manifest(material, method=NAME, seed=seed, hyperparameters=chosen, trial=best)
    described |= {
        "language_model": dataclasses.asdict(model.identity),
        "question": dataclasses.asdict(QUESTION),
        "versions": described["versions"] | {"xllamacpp": model.package_version},
    }
    digest = artefact.write(out, tensors=head.tensors(), manifest=described)
    progress("fitting", 1.0)
    return digest


def sampled(
    source: npt.NDArray[np.intp], *, most: int, generator: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Rows that are judged: of each source at most so many, by chance."""
    chosen = np.zeros(len(source), dtype=np.bool_)
    for index in range(source.max() + 1):
        own = np.flatnonzero(source == index)
        chosen[own[generator.permutation(len(own))[:most]]] = True
    return chosen


def fit(pool: TrainingSet, hyperparameters: Hyperparameters) -> Linear:
    """The static regression on all rows, and the one that joins its output with the states of the judged ones."""
    inputs, states = np.split(pool.inputs, [_static_width(pool)], axis=1)
    static = static_head.fit(replace(pool, inputs=inputs), _STATIC)
    judged = _is_judged(pool)
    part = pool.of(judged)
    penalty = np.full(1 + states.shape[1], hyperparameters.state_penalty)
    penalty[0] = hyperparameters.static_penalty
    joined = ridge(
        np.column_stack((static(inputs), states))[judged],
        part.targets,
        sample_weights=part.fitting_weights(hyperparameters.source_exponent),
        penalty=penalty,
    )
    share, *of_states = joined.weights
    weights = np.concatenate((share * static.weights, of_states))
    return Linear(weights=weights, bias=joined.bias + share * static.bias)


def _judged(
    material: Material, rows: npt.NDArray[np.bool_], judgements: Judgements, progress: Progress
) -> Material:
    """The material with the hidden states beside the other inputs; NaN for a row that is not judged."""
    texts = [text for examples in material.examples for text in examples.texts]
    utf8 = BoundedTexts.of([texts[row] for row in np.flatnonzero(rows)]).utf8
    known = judgements.of(utf8, progress=lambda done: progress("judging", done))
    states = np.full((len(texts), known.shape[1]), np.nan)
    states[rows] = known
    return replace(material, pool=replace(material.pool, inputs=np.hstack((material.pool.inputs, states))))


def _static_width(pool: TrainingSet) -> int:
    return pool.dimensions + len(text_features.NAMES)


def _is_judged(pool: TrainingSet) -> npt.NDArray[np.bool_]:
    return ~np.isnan(pool.inputs[:, -1])


def _fit_head(
    pool: TrainingSet, hyperparameters: Hyperparameters, generator: np.random.Generator
) -> StaticHead:
    linear = fit(pool, hyperparameters)
    judged = pool.represented_by(_is_judged(pool))
    raw = linear(judged.inputs)
    return StaticHead(
        weights=linear.weights.astype(np.float32),
        bias=linear.bias,
        reference=training.reference_of(
            judged, raw, odds=training.win_odds(judged, raw), generator=generator
        ),
    )


def _most(environment: Mapping[str, str]) -> int:
    told = environment.get(ROWS_VARIABLE) or str(ROWS)
    if not told.isdecimal() or int(told) < _FEWEST:
        raise DataError(f"{told} rows cannot be judged: at least {_FEWEST} of a source are needed")
    return int(told)
