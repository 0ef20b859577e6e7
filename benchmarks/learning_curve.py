"""`python -m benchmarks.learning_curve --data DIR`: what labels of the own traffic are worth.

A head is adapted to some questions of a domain, drawn at random, and measured on the others. The domains are the
benchmarks, from the shipped head, which chooses nothing; or, with `--left-out`, the training sources, each from a head
that was trained without it, which is how the way to adapt was chosen.
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

from steersman.classifier import artefact, benchmarks, label_regression, training
from steersman.classifier.embeddings import StaticEmbeddings, locate
from steersman.classifier.methods import static_head
from steersman.classifier.metrics import Ranking
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training_set import Floats, inputs_of

ARTEFACT: Final = Path("triton_models/static_head/1")
LABELS: Final = (0, 50, 100, 200, 500, 1500)
BENCHMARKS: Final = ("mmlu", "gsm8k")
MOST: Final = 0.5
"""Share of a domain that is labelled at most, so that enough is left to measure on."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Questions whose labels are known, and the head that knows nothing of them."""

    name: str
    inputs: Floats
    gains: Floats
    old: StaticHead


@dataclass(frozen=True, slots=True)
class Point:
    """APGR with so many labels, one value a draw."""

    domain: str
    labels: int
    values: Sequence[float]


def of_benchmarks(data: Path) -> Iterator[Domain]:
    """The benchmarks with enough questions."""
    old = StaticHead.from_tensors(artefact.read(ARTEFACT)[0])
    embeddings = StaticEmbeddings.load(locate(os.environ))
    for each in benchmarks.read_all(data):
        if each.name in BENCHMARKS:
            yield Domain(each.name, inputs_of(each.prompts, embeddings), each.strong - each.weak, old)


def of_left_out(data: Path) -> Iterator[Domain]:
    """The training sources that models have answered."""
    shipped, manifest = artefact.read(ARTEFACT)
    reference = StaticHead.from_tensors(shipped).reference
    setting = static_head.Hyperparameters.from_manifest(manifest)
    material = training.prepare(data, environment=os.environ, progress=lambda _stage, _done: None)
    for index, examples in enumerate(material.examples):
        own = material.pool.source == index
        domain = material.pool.of(own)
        if not np.isnan(domain.wins).any():
            linear = static_head.fit(material.pool.of(~own), setting)
            old = StaticHead(linear.weights.astype(np.float32), linear.bias, reference)
            yield Domain(examples.source.folder, domain.inputs, domain.gains, old)


def curve(domain: Domain, *, seeds: int, amplitudes: Sequence[float]) -> Iterator[Point]:
    """The points of one domain."""
    for count in LABELS:
        if count <= MOST * len(domain.gains):
            draws = [_apgr(domain, count=count, seed=seed, amplitudes=amplitudes) for seed in range(seeds)]
            yield Point(domain.name, count, draws)


def _apgr(domain: Domain, *, count: int, seed: int, amplitudes: Sequence[float]) -> float:
    order = np.random.default_rng(seed).permutation(len(domain.gains))
    seen, unseen = order[:count], order[count:]
    if count:
        fitted = label_regression.fit(
            domain.inputs[seen], domain.gains[seen], domain.old, amplitudes=amplitudes
        )
        scores = fitted(domain.inputs[unseen])
    else:
        scores = label_regression.outputs(domain.old, domain.inputs[unseen])
    return Ranking(scores, domain.gains[unseen]).curve().apgr()


def _table(points: Sequence[Point]) -> Table:
    table = Table(title="APGR on the questions that were not labelled: mean over draws, lowest to highest")
    table.add_column("labels", justify="right")
    domains = list(dict.fromkeys(point.domain for point in points))
    for name in domains:
        table.add_column(name, justify="right")
    cells = {(point.domain, point.labels): _cell(point.values) for point in points}
    for count in LABELS:
        table.add_row(str(count), *(cells.get((name, count), "-") for name in domains))
    return table


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_curve", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="draws of labels (default: 5)")
    parser.add_argument("--left-out", action="store_true", help="the training sources, not the benchmarks")
    parser.add_argument("--no-bumps", action="store_true", help="adapt by a ridge regression alone")
    options = parser.parse_args()
    domains = of_left_out(options.data) if options.left_out else of_benchmarks(options.data)
    amplitudes = (0.0,) if options.no_bumps else label_regression.AMPLITUDES
    points = [
        point for domain in domains for point in curve(domain, seeds=options.seeds, amplitudes=amplitudes)
    ]
    Console().print(_table(points))


if __name__ == "__main__":
    main()
