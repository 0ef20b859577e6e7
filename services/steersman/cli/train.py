"""`steersman train`: from the data folder to an artefact in the model repository."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import adaptation, encoder, labels, language_model, methods, training
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.bootstrap import Estimate
from steersman.classifier.methods import bert, causal_llm
from steersman.cli import data

NAME = "train"
HELP = "train a classifier and write its artefact"
DESCRIPTION = (
    "Train a router method on the rows of the data folder that may ship, never on evaluation rows, and write the "
    "weights and a manifest that names all they came from. The same data and seed give the same artefact "
    "on the same kind of processor. "
    "With --adapt, fit a trained artefact to labels of your own traffic instead; some hundred are enough."
)

_SETTINGS: Final = {
    "model": (causal_llm.NAME, language_model.VARIABLE),
    "rows": (causal_llm.NAME, causal_llm.ROWS_VARIABLE),
    "cache": (causal_llm.NAME, causal_llm.CACHE_VARIABLE),
    "encoder": (bert.NAME, encoder.VARIABLE),
    "epochs": (bert.NAME, bert.EPOCHS_VARIABLE),
}
"""The method that an option is for, and the setting that it stands for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("method", choices=methods.names(), help="router method")
    parser.add_argument(
        "--data",
        type=Path,
        default=data.FOLDER,
        metavar="DIR",
        help="data folder: one folder a source, and the evaluation files to keep away from (default: %(default)s)",
    )
    parser.add_argument(
        "--adapt", type=Path, metavar="ARTEFACT", help="start from this artefact and fit it to --labels"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON lines with prompt and winner (strong, weak, tie), or prompt and scores; .gz as well",
    )
    parser.add_argument(
        "--no-guard",
        dest="guard",
        action="store_false",
        help="with --adapt: take labels that are near an evaluation prompt too, and need no evaluation files",
    )
    parser.add_argument(
        "--battles",
        type=Path,
        metavar="FILE",
        help="for bert, mf and sw_ranking, beside --data: JSON lines or CSV with prompt, model_a, model_b and winner",
    )
    for tier in ("strong", "weak"):
        parser.add_argument(
            f"--{tier}",
            default=tier,
            metavar="NAME",
            help=f"the {tier} model's name in the labels' scores, or in the battles those of several with commas",
        )
    _add_models(parser)
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


def _add_models(parser: argparse.ArgumentParser) -> None:
    """What the methods that build on a model of another's are told; each is a setting of the environment as well."""
    group = parser.add_argument_group("for causal_llm")
    group.add_argument(
        "--model",
        metavar="FILE",
        help=f"language model: a GGUF file, or hf://OWNER/REPOSITORY/FILE.gguf (default: {language_model.VARIABLE})",
    )
    group.add_argument(
        "--rows", metavar="N", help=f"judge so many rows of a source (default: {causal_llm.ROWS})"
    )
    group.add_argument(
        "--cache", metavar="DIR", help="keep judgements there for the next training (default: --out)"
    )
    group = parser.add_argument_group("for bert")
    group.add_argument(
        "--encoder",
        metavar="NAME|DIR",
        help=f"encoder to fine-tune: a folder, or a name on the hub (default: {encoder.VARIABLE})",
    )
    group.add_argument(
        "--epochs", metavar="N", help=f"passes over the data, at most (default: {bert.EPOCHS})"
    )


def _environment(options: argparse.Namespace) -> Mapping[str, str]:
    """The process's own, with the options that stand for settings.

    Raises:
        DataError: One is of another method.
    """
    environment = dict(os.environ)
    for option, (method, variable) in _SETTINGS.items():
        told = getattr(options, option)
        if told is None:
            continue
        if options.method != method:
            raise DataError(f"--{option} is for {method}, not for {options.method}")
        environment[variable] = told
    return environment


def run(options: argparse.Namespace, errors: Console) -> None:
    """Train, with progress on standard error and the artefact's digest on standard output."""
    # One thread, since how many there are changes the last digits of a product.
    with threadpool_limits(1), _Bars(errors) as bars:
        digest = _adapt(options, bars) if options.adapt else _train(options, bars)
    Console(soft_wrap=True).print(f"{options.out}: artefact {digest}", highlight=False)


def _train(options: argparse.Namespace, bars: _Bars) -> str:
    if options.labels is not None:
        raise DataError("--labels are what --adapt fits an artefact to; say which one")
    if not options.guard:
        raise DataError("--no-guard is for --adapt; training always keeps away from evaluation prompts")
    if not options.data.is_dir():
        raise DataError(
            f"{options.data} is no folder; `steersman data list` shows what can be fetched into it"
        )
    if options.battles is not None:
        return _train_with_battles(options, bars)
    return methods.named(options.method).train(
        options.data,
        out=options.out,
        seed=options.seed,
        environment=_environment(options),
        progress=bars.show,
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
        environment=_environment(options),
        progress=bars.show,
        battles=BattleFile(options.battles, strong=strong, weak=weak),
    )


def _adapt(options: argparse.Namespace, bars: _Bars) -> str:
    if options.battles is not None:
        raise DataError("--battles are trained on; --adapt takes --labels")
    if options.method != adaptation.METHOD:
        raise DataError(f"only {adaptation.METHOD} can be adapted, not {options.method}")
    if options.labels is None:
        raise DataError("--adapt needs --labels")
    read = labels.read(
        options.labels, forbidden=_forbidden(options), strong=options.strong, weak=options.weak
    )
    if read.left_out:
        bars.say(f"{read.left_out} labels are left out: near an evaluation prompt")
    adapted = adaptation.adapt(
        options.adapt,
        read,
        out=options.out,
        seed=options.seed,
        environment=_environment(options),
        progress=bars.show,
    )
    bars.say(f"APGR on the labels, before: {_told(adapted.before)}")
    bars.say(f"APGR on the labels, each left out in turn: {_told(adapted.after)}")
    return adapted.digest


def _forbidden(options: argparse.Namespace) -> frozenset[int]:
    """Fingerprints of what no label may be near."""
    if not options.guard:
        return frozenset()
    try:
        return training.guard(options.data)
    except DataError as error:
        raise DataError(f"{error}; --no-guard does without them") from error


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


class _Bars:
    """One progress bar a stage."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._progress = Progress(*columns, *times, console=console)
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
