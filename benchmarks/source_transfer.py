"""`python -m benchmarks.source_transfer --data DIR`: which sets of questions agree on what needs the strong model.

A head is trained on one set alone and measured on each of the others; on its own questions by five folds. Where two
sets lie below .5 of each other, no head without labels can be right on both. Decides nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks import other_kinds
from benchmarks.other_kinds import Questions
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import text_features, training
from steersman.classifier.fitting import Linear, ridge
from steersman.classifier.metrics import Ranking
from steersman.classifier.training import Material
from steersman.classifier.training_set import Floats
from steersman.cli import contenders

PENALTIES: Final = (30.0, 10.0)
"""Of the embedding's and the text features' columns: less than what ships has, since a set knows its own kind."""
FOLDS: Final = 5


def training_sources(material: Material) -> Iterator[Questions]:
    """Those that models have answered."""
    for index, examples in enumerate(material.examples):
        own = material.pool.of(material.pool.source == index)
        if not np.isnan(own.wins).any():
            yield Questions(examples.source.folder, examples.texts, own.inputs, own.gains)


def fit(inputs: Floats, gains: Floats) -> Linear:
    """One set's own head."""
    features = np.arange(inputs.shape[1]) >= inputs.shape[1] - len(text_features.NAMES)
    embedding, surface = PENALTIES
    penalty = np.where(features, surface, embedding)
    return ridge(inputs, gains, sample_weights=np.ones(len(gains)), penalty=penalty)


def apgr(scores: Floats, gains: Floats) -> float:
    """Of scores that rise with the need of strong."""
    return Ranking(scores, gains).curve().apgr()


def across(trained_on: Questions, measured_on: Questions) -> float:
    """APGR of the head of one set on another; on the same questions, of heads that did not see the question."""
    if trained_on.texts != measured_on.texts:
        return apgr(fit(trained_on.inputs, trained_on.gains)(measured_on.inputs), measured_on.gains)
    fold = np.random.default_rng(0).permutation(len(trained_on.gains)) % FOLDS
    scores = np.zeros(len(fold))
    for number in range(FOLDS):
        unseen = fold == number
        scores[unseen] = fit(trained_on.inputs[~unseen], trained_on.gains[~unseen])(trained_on.inputs[unseen])
    return apgr(scores, measured_on.gains)


def _table(sets: Sequence[Questions]) -> Table:
    table = Table("by", title="APGR; a head trained on one set (row), measured on another (column)")
    for each in sets:
        table.add_column(each.name, justify="right")
    shipped = contenders.load(contenders.DEFAULT)
    lengths = [np.array([len(text.encode()) for text in each.texts], dtype=np.float64) for each in sets]
    table.add_row("length", *(_told(scores, each) for scores, each in zip(lengths, sets, strict=True)))
    table.add_row("as shipped", *(_told(shipped.rate(each.texts, lambda _: None), each) for each in sets))
    table.add_section()
    for trained_on in sets:
        table.add_row(trained_on.name, *(f"{across(trained_on, each):.3f}" for each in sets))
    table.add_section()
    judged = [each for each in sets if each.name.startswith(other_kinds.ALPACA)]
    others = {each.name: other.gains for each, other in zip(judged, reversed(judged), strict=True)}
    table.add_row(
        "the other judge's verdict",
        *(_told(others[each.name], each) if each.name in others else "-" for each in sets),
    )
    return table


def _told(scores: Floats, questions: Questions) -> str:
    return f"{apgr(scores, questions.gains):.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.source_transfer", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    options = parser.parse_args()
    with threadpool_limits(1):
        material = training.prepare(options.data, environment=os.environ, progress=lambda *_: None)
        sets = [*training_sources(material), *other_kinds.read(options.data, material.embeddings)]
        Console(width=160).print(_table(sets))


if __name__ == "__main__":
    main()
