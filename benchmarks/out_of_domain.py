"""`python -m benchmarks.out_of_domain --data DIR`: is the score worth less where a query is unlike the training data?

The default of a policy's `out_of_domain` is chosen on the training sources, each told by a head that was trained
without it. The benchmarks are shown beside them and choose nothing. For each novelty from which on queries would go by
a proportional rule: how many do, what that makes of the APGR, what the score is worth among them alone, and the strong
share at the default threshold without and with the rule.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from steersman.classifier import artefact, benchmarks, training
from steersman.classifier.evaluation import measures
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.bootstrap import Estimate, bootstrap
from steersman.classifier.methods import static_head
from steersman.classifier.scores import Scores
from steersman.classifier.training import Material
from steersman.cli import contenders

Floats = npt.NDArray[np.float64]

NOVELTIES: Final = (0.9, 0.95, 0.99, 0.995, 0.999)
THRESHOLD: Final = 0.7
DRAWS: Final = 20
"""Draws of stand-ins, over which is averaged: which of two tiers a text gets by lot says nothing about the rule."""
FEW: Final = 20
"""Queries among which a score is worth nothing that could be told."""
RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """Queries that both models have answered, and what the classifier says about them."""

    name: str
    scores: Scores
    gains: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a proportional rule from a novelty on does to them."""

    queries: int
    marked: float
    without_rule: float
    """APGR."""
    with_rule: float
    among_marked: Estimate | None
    """APGR of the score among those that go by the rule; None where they are few, or strong is no better on them."""
    strong_share: tuple[float, float]
    """At the threshold, without the rule and with it."""


def left_out(material: Material, hyperparameters: static_head.Hyperparameters) -> Iterator[Told]:
    """The training sources that models have answered, each told by a head that has not seen it."""
    pool = material.pool
    for index, examples in enumerate(material.examples):
        held_out = pool.source == index
        if np.isnan(pool.wins[held_out]).any():
            continue
        seen, unseen = pool.of(~held_out), pool.of(held_out)
        linear = static_head.fit(seen, hyperparameters)
        reference = training.reference_of(
            seen,
            linear(seen.inputs),
            odds=training.ODDS_THEMSELVES,
            generator=np.random.default_rng(0),
        )
        scores = reference.tell(
            linear(unseen.inputs).astype(np.float32),
            vectors=unseen.vectors.astype(np.float32),
            truncated=np.zeros(len(unseen.gains), dtype=np.bool_),
        )
        yield Told(f"{examples.source.folder}, left out", scores, unseen.gains)


def outcome(told: Told, novelty: float) -> Outcome:
    """Measure one."""
    scores, marked = told.scores.score.astype(np.float64), told.scores.novelty >= novelty
    drawn = [
        np.where(marked, np.random.default_rng(seed).random(len(scores)), scores) for seed in range(DRAWS)
    ]
    return Outcome(
        queries=len(scores),
        marked=float(marked.mean()),
        without_rule=_apgr(scores, told.gains),
        with_rule=float(np.mean([_apgr(places, told.gains) for places in drawn])),
        among_marked=_among(scores[marked], told.gains[marked]),
        strong_share=(
            float((scores >= THRESHOLD).mean()),
            float(np.mean([places >= THRESHOLD for places in drawn])),
        ),
    )


def _apgr(scores: Floats, gains: Floats) -> float:
    ones = np.ones((1, len(gains)))
    return float(measures.of_ranking(_as_benchmark(gains), scores)(ones)[measures.APGR][0])


def _among(scores: Floats, gains: Floats) -> Estimate | None:
    if len(gains) < FEW or gains.sum() <= 0:
        return None
    statistic = measures.of_ranking(_as_benchmark(gains), scores)
    return bootstrap(statistic, queries=len(gains), resamples=RESAMPLES, seed=0)[measures.APGR].at()


def _as_benchmark(gains: Floats) -> Benchmark:
    return Benchmark("queries", ("",) * len(gains), strong=gains, weak=np.zeros_like(gains))


def _table(all_told: Sequence[Told]) -> Table:
    table = Table("queries", title=f"Decided proportionally from a novelty on; {DRAWS} draws of stand-ins")
    columns = ("n", "novelty", "marked", "APGR", "with the rule", "among marked", f"strong at {THRESHOLD}")
    for column in columns:
        table.add_column(column, justify="right")
    for told in all_told:
        for novelty in NOVELTIES:
            found = outcome(told, novelty)
            among = found.among_marked
            table.add_row(
                told.name,
                f"{found.queries:,}",
                f"{novelty:g}",
                f"{found.marked:.1%}",
                f"{found.without_rule:.3f}",
                f"{found.with_rule:.3f}",
                "-" if among is None else f"{among.value:.3f} ({among.low:.3f} to {among.high:.3f})",
                "{:.1%} to {:.1%}".format(*found.strong_share),
            )
        table.add_section()
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.out_of_domain", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    errors = Console(stderr=True)
    with errors.status("training without each source") as status:
        material = training.prepare(options.data, environment=os.environ, progress=lambda *_: None)
        _, manifest = artefact.read(contenders.DEFAULT)
        told = list(left_out(material, static_head.Hyperparameters.from_manifest(manifest)))
        classifier = contenders.load(contenders.DEFAULT)
        told += [
            Told(each.name, classifier.assess(each.prompts, status.update), each.strong - each.weak)
            for each in benchmarks.read_all(options.data)
        ]
    console.print(f"artefact {classifier.digest[:12]}")
    console.print(_table(told))


if __name__ == "__main__":
    main()
