"""Options and actions that several subcommands have, and how values are read."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from steersman.calibration.bootstrap import Resampling
from steersman.classifier.errors import DataError
from steersman.cli import numbers


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    act: Callable[[argparse.Namespace, Console], None],
) -> argparse.ArgumentParser:
    """What a subcommand can be told to do, as one of several."""
    parser = actions.add_parser(name, help=text, description=f"{text.capitalize()}.")
    parser.set_defaults(act=act)
    return parser


def add_bootstrap(parser: argparse.ArgumentParser) -> None:
    """How intervals are found."""
    parser.add_argument(
        "--seed", type=numbers.seed, default=0, metavar="N", help="seed of the bootstrap (default: 0)"
    )
    parser.add_argument(
        "--resamples",
        type=numbers.count,
        default=1000,
        metavar="N",
        help="bootstrap resamples (default: %(default)s)",
    )


def add_log_filters(parser: argparse.ArgumentParser) -> None:
    """Which decisions of a log are meant."""
    parser.add_argument("--traffic", metavar="POLICY", help="take the decisions of this policy in the log")
    parser.add_argument(
        "--classifier",
        metavar="DIGEST",
        help="take the scores of this artefact (the beginning of its digest)",
    )


def resampling(options: argparse.Namespace) -> Resampling:
    """What `add_bootstrap` has read."""
    return Resampling(options.resamples, options.seed)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write what a machine may read.

    Raises:
        DataError: It cannot be written.
    """
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error
