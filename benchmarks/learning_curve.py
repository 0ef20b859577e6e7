"""`python -m benchmarks.learning_curve --data DIR`: what labels of the own traffic are worth.

For each number of labels the shipped head is adapted to that many questions of a benchmark, drawn at random, and
measured on the others. It chooses nothing: how to adapt was decided on the training sources.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from steersman.classifier import adaptation, artefact, benchmarks
from steersman.classifier.embeddings import StaticEmbeddings, locate
from steersman.classifier.metrics import Ranking
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training_set import Floats, inputs_of

ARTEFACT: Final = Path("triton_models/static_head/1")
LABELS: Final = (0, 50, 100, 200, 500, 1500)
BENCHMARKS: Final = ("mmlu", "gsm8k")
MOST: Final = 0.5
"""Share of a benchmark that is labelled at most, so that enough is left to measure on."""


@dataclass(frozen=True, slots=True)
class Point:
    """APGR with so many labels, one value a draw."""

    benchmark: str
    labels: int
    values: Sequence[float]


def curve(name: str, inputs: Floats, gains: Floats, old: StaticHead, *, seeds: int) -> Iterator[Point]:
    """The points of one benchmark."""
    for count in LABELS:
        if count <= MOST * len(gains):
            draws = [_apgr(inputs, gains, old, count=count, seed=seed) for seed in range(seeds)]
            yield Point(name, count, draws)


def _apgr(inputs: Floats, gains: Floats, old: StaticHead, *, count: int, seed: int) -> float:
    order = np.random.default_rng(seed).permutation(len(gains))
    seen, unseen = order[:count], order[count:]
    scores = inputs[unseen] @ old.weights
    if count:
        scores = adaptation.fit(inputs[seen], gains[seen], old)(inputs[unseen])
    return Ranking(scores, gains[unseen]).curve().apgr()


def _table(points: Sequence[Point]) -> Table:
    table = Table(title="APGR on the questions that were not labelled: mean over draws, lowest to highest")
    table.add_column("labels", justify="right")
    for name in BENCHMARKS:
        table.add_column(name, justify="right")
    cells = {(point.benchmark, point.labels): _cell(point.values) for point in points}
    for count in LABELS:
        table.add_row(str(count), *(cells.get((name, count), "-") for name in BENCHMARKS))
    return table


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_curve", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="draws of labels (default: 5)")
    options = parser.parse_args()
    old = StaticHead.from_tensors(artefact.read(ARTEFACT)[0])
    embeddings = StaticEmbeddings.load(locate(os.environ))
    points = [
        point
        for benchmark in benchmarks.read_all(options.data)
        if benchmark.name in BENCHMARKS
        for point in curve(
            benchmark.name,
            inputs_of(benchmark.prompts, embeddings),
            benchmark.strong - benchmark.weak,
            old,
            seeds=options.seeds,
        )
    ]
    Console().print(_table(points))


if __name__ == "__main__":
    main()
