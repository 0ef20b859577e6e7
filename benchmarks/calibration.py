"""`python -m benchmarks.calibration --data DIR`: does fresh traffic do what calibration promised?

Prompts of a data folder play the traffic, each decided as by a router: by its score, or out of domain proportionally.
Again and again some are drawn to calibrate on and others, never the same ones, to see what comes: how far the share was
missed, and how often it was within the 95 % interval. Nothing is chosen here, and no label has a part in it but for the
quality that is recovered, which is measured on MMLU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from steersman.calibration import out_of_domain, prompts, recovery, shares
from steersman.calibration.bootstrap import Resampling
from steersman.classifier import benchmarks
from steersman.classifier.evaluation.bootstrap import Estimate, Floats
from steersman.cli import contenders, numbers
from steersman.router.model import OutOfDomain

TRAFFIC: Final[Mapping[str, Sequence[str]]] = {
    "mixed": (
        "arena_bench",
        "alpaca_eval",
        "mmlu_pro",
        "gsm8k_train",
        "routerdc_7b",
        "zeroeval_crux",
        "zeroeval_math-l5",
    ),
    "questions": ("mmlu_pro", "zeroeval_math-l5", "alpaca_eval"),
}
"""Folders whose prompts make a traffic; MMLU's own questions make a third."""
SHARES: Final = (0.1, 0.3, 0.5)
"""Strong shares that are wanted."""
PARTS: Final = (0.5, 0.8)
"""Parts of the quality gap that are."""
RESAMPLES: Final = 200

Trial = tuple[float, Mapping[str, bool]]
"""What came less what was wanted, and whether each interval held what came."""


@dataclass(frozen=True, slots=True)
class Trials:
    """What came of many calibrations for one goal."""

    traffic: str
    wanted: float
    misses: Floats
    """What came less what was wanted, on prompts that were not calibrated on."""
    inside: Mapping[str, float]
    """How often each interval held what came, by its name."""


def of_shares(name: str, scores: Floats, *, rows: int, trials: int, resamples: int) -> Iterator[Trials]:
    """Calibrate for shares on `rows` prompts.

    What is to come is played by as many other prompts, and endless traffic by the whole of it, from which rows are then
    drawn with replacement.
    """

    def calibrated(seen: Floats, wanted: float, seed: int) -> tuple[float, shares.Share]:
        found = shares.calibrate(seen, np.ones(rows), (1 - wanted, wanted), Resampling(resamples, seed))
        return found.boundaries[0], found.shares[1]

    def trial(generator: np.random.Generator, wanted: float) -> Trial:
        order = generator.permutation(len(scores))
        boundary, strong = calibrated(scores[order[:rows]], wanted, _seed(generator))
        came = _share(scores[order[rows : 2 * rows]], boundary)
        held = {f"next {rows:,}": _holds(strong.next_queries, came)}
        boundary, strong = calibrated(generator.choice(scores, rows), wanted, _seed(generator))
        return came - wanted, {**held, "long run": _holds(strong.long_run, _share(scores, boundary))}

    yield from _repeat(name, SHARES, trial, trials)


def of_recovery(
    name: str, scores: Floats, gains: Floats, *, rows: int, trials: int, resamples: int
) -> Iterator[Trials]:
    """Calibrate for quality on `rows` labelled prompts, drawn from traffic with replacement."""

    def trial(generator: np.random.Generator, wanted: float) -> Trial:
        seen = generator.integers(len(scores), size=rows)
        found = recovery.calibrate(scores[seen], gains[seen], wanted, Resampling(resamples, _seed(generator)))
        came = float(gains[scores >= found.boundary].sum() / gains.sum())
        return came - wanted, {"long run": _holds(found.recovered, came)}

    yield from _repeat(name, PARTS, trial, trials)


def _repeat(
    name: str, goals: Sequence[float], trial: Callable[[np.random.Generator, float], Trial], trials: int
) -> Iterator[Trials]:
    for number, wanted in enumerate(goals):
        generator = np.random.default_rng(number)
        numbers = track(
            range(trials), description=f"{name}, {wanted}", console=Console(stderr=True), transient=True
        )
        came = [trial(generator, wanted) for _ in numbers]
        inside = {each: float(np.mean([held[each] for _, held in came])) for each in came[0][1]}
        yield Trials(name, wanted, np.array([missed for missed, _ in came]), inside)


def _seed(generator: np.random.Generator) -> int:
    """A bootstrap of its own for each trial: one for all would make their intervals err together."""
    return int(generator.integers(2**32))


def _share(scores: Floats, boundary: float) -> float:
    return float((scores >= boundary).mean())


def _holds(interval: Estimate, value: float) -> bool:
    return interval.low <= value <= interval.high


def _table(title: str, results: Sequence[Trials]) -> Table:
    table = Table("traffic", title=f"{title}; misses in percentage points")
    intervals = (f"in the interval, {name}" for name in results[0].inside)
    for column in ("wanted", "median miss", "95 % are below", "mean", *intervals):
        table.add_column(column, justify="right")
    for each in results:
        absolute = np.abs(each.misses)
        figures = (np.median(absolute), np.percentile(absolute, 95), each.misses.mean())
        cells = (f"{100 * figure:.2f}" for figure in figures)
        held = (f"{part:.1%}" for part in each.inside.values())
        table.add_row(each.traffic, f"{each.wanted:.0%}", *cells, *held)
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    parser.add_argument(
        "--rows", type=int, default=2000, metavar="N", help="prompts to calibrate on (default: 2000)"
    )
    parser.add_argument(
        "--trials", type=int, default=200, metavar="N", help="calibrations a goal (default: 200)"
    )
    parser.add_argument(
        "--novelty",
        type=numbers.part,
        default=OutOfDomain().novelty,
        metavar="N",
        help="from which on a prompt is out of domain (default: %(default)s)",
    )
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    classifier = contenders.load(contenders.DEFAULT)
    (mmlu,) = (each for each in benchmarks.read_all(options.data) if each.name == "mmlu")
    texts = {name: _texts(options.data, folders) for name, folders in TRAFFIC.items()} | {
        "MMLU": mmlu.prompts
    }
    with console.status("scoring") as status:
        found = {
            name: out_of_domain.of_texts(
                each, classifier.assess(each, status.update), OutOfDomain(options.novelty)
            )
            for name, each in texts.items()
        }
    places = {name: each.values for name, each in found.items()}
    console.print(
        f"artefact {classifier.digest[:12]};",
        ", ".join(
            f"{name}: {len(each.values):,} prompts, {each.out_of_domain / len(each.values):.1%} out of domain"
            for name, each in found.items()
        ),
    )
    of_all = [
        result
        for name, each in places.items()
        for result in of_shares(name, each, rows=options.rows, trials=options.trials, resamples=RESAMPLES)
    ]
    console.print(_table(f"Strong share, calibrated on {options.rows:,} prompts", of_all))
    gains = mmlu.strong - mmlu.weak
    of_all = list(
        of_recovery(
            "MMLU", places["MMLU"], gains, rows=options.rows, trials=options.trials, resamples=RESAMPLES
        )
    )
    console.print(_table(f"Quality gap recovered, calibrated on {options.rows:,} labelled prompts", of_all))


def _texts(data: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """Each prompt once: one that came back would not be fresh."""
    files = [file for folder in folders for file in sorted((data / folder).glob("*.jsonl.gz"))]
    return tuple(dict.fromkeys(prompts.read(files).texts))


if __name__ == "__main__":
    main()
