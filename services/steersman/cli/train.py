"""`steersman train`: from the data folder to an artefact in the model repository."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from steersman.classifier import methods
from steersman.classifier.errors import DataError

NAME = "train"
HELP = "train a classifier and write its artefact"
DESCRIPTION = (
    "Train a router method on the rows of the data folder that may ship, never on evaluation rows, and write the "
    "weights and a manifest that names all they came from. The same data and seed give the same artefact."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("method", choices=methods.names(), help="router method")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="data folder: one folder a source"
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
    if not options.data.is_dir():
        raise DataError(f"{options.data} is no folder")
    with _Bars(errors) as bars:
        digest = methods.named(options.method).train(
            options.data, out=options.out, seed=options.seed, environment=os.environ, progress=bars.show
        )
    Console(soft_wrap=True).print(f"{options.out}: artefact {digest}", highlight=False)


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

    def show(self, stage: str, done: float) -> None:
        """Move a stage's bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=1.0)
        self._progress.update(self._tasks[stage], completed=done)
