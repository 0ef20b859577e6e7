"""`steersman train`: from the data folder to an artefact in the model repository."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import adaptation, labels, methods
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.bootstrap import Estimate

NAME = "train"
HELP = "train a classifier and write its artefact"
DESCRIPTION = (
    "Train a router method on the rows of the data folder that may ship, never on evaluation rows, and write the "
    "weights and a manifest that names all they came from. The same data and seed give the same artefact "
    "on the same kind of processor. "
    "With --adapt, fit a trained artefact to labels of your own traffic instead; some hundred are enough."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("method", choices=methods.names(), help="router method")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="DIR", help="data folder: one folder a source")
    source.add_argument(
        "--adapt", type=Path, metavar="ARTEFACT", help="start from this artefact and fit it to --labels"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON lines with prompt and winner (strong, weak, tie), or prompt and scores; .gz as well",
    )
    parser.add_argument(
        "--battles",
        type=Path,
        metavar="FILE",
        help="for mf and sw_ranking, beside --data: JSON lines or CSV with prompt, model_a, model_b and winner",
    )
    for tier in ("strong", "weak"):
        parser.add_argument(
            f"--{tier}",
            default=tier,
            metavar="NAME",
            help=f"the {tier} model's name in the labels' scores, or in the battles those of several with commas",
        )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="where to write; in a Triton model repository MODEL/VERSION, whose config.pbtxt then gets the digest",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of all that is random (default: 0)"
    )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Train, with progress on standard error and the artefact's digest on standard output."""
    # One thread, since how many there are changes the last digits of a product.
    with threadpool_limits(1), _Bars(errors) as bars:
        digest = _adapt(options, bars) if options.adapt else _train(options, bars)
    Console(soft_wrap=True).print(f"{options.out}: artefact {digest}", highlight=False)


def _train(options: argparse.Namespace, bars: _Bars) -> str:
    if options.labels is not None:
        raise DataError("--labels are what --adapt fits an artefact to; say which one")
    if not options.data.is_dir():
        raise DataError(
            f"{options.data} is no folder; `steersman data list` shows what can be fetched into it"
        )
    if options.battles is not None:
        return _train_with_battles(options, bars)
    return methods.named(options.method).train(
        options.data, out=options.out, seed=options.seed, environment=os.environ, progress=bars.show
    )


def _train_with_battles(options: argparse.Namespace, bars: _Bars) -> str:
    strong, weak = (
        tuple(name.strip() for name in each.split(",")) for each in (options.strong, options.weak)
    )
    if both := set(strong) & set(weak):
        raise DataError(f"'{min(both)}' cannot be both strong and weak")
    return methods.of_battles(options.method).train(
        options.data,
        out=options.out,
        seed=options.seed,
        environment=os.environ,
        progress=bars.show,
        battles=BattleFile(options.battles, strong=strong, weak=weak),
    )


def _adapt(options: argparse.Namespace, bars: _Bars) -> str:
    if options.battles is not None:
        raise DataError("--battles go with --data; --adapt takes --labels")
    if options.method != adaptation.METHOD:
        raise DataError(f"only {adaptation.METHOD} can be adapted, not {options.method}")
    if options.labels is None:
        raise DataError("--adapt needs --labels")
    adapted = adaptation.adapt(
        options.adapt,
        labels.read(options.labels, strong=options.strong, weak=options.weak),
        out=options.out,
        seed=options.seed,
        environment=os.environ,
        progress=bars.show,
    )
    bars.say(f"APGR on the labels, before: {_told(adapted.before)}")
    bars.say(f"APGR on the labels, cross-validated: {_told(adapted.after)}")
    return adapted.digest


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


class _Bars:
    """One progress bar a stage."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, highlight=False)

    def show(self, stage: str, done: float) -> None:
        """Move a stage's bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=1.0)
        self._progress.update(self._tasks[stage], completed=done)
