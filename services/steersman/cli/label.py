"""`steersman label`: labels of your own traffic, in steps that can be interrupted and gone on with."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Final

from rich.console import Console

from steersman.cli.labelling import answer, check, judge, sample
from steersman.labelling.errors import LabellingError

NAME = "label"
HELP = "label your own traffic: sample queries, have both tiers answer, judge or check"
DESCRIPTION = (
    "Make labels of your own traffic for `steersman train`, in a folder that holds all that was chosen, answered and "
    "judged. What is in it is never asked, nor paid for, again: a step that was interrupted goes on where it stopped."
)
_STEPS: Final[tuple[ModuleType, ...]] = (sample, answer, judge, check)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for step in _STEPS:
        added = steps.add_parser(
            step.NAME, help=step.HELP, description=f"{step.HELP[0].upper()}{step.HELP[1:]}."
        )
        step.add_arguments(added)
        added.set_defaults(run_step=step.run)


def run(options: argparse.Namespace, errors: Console) -> None:
    """Take the step that was asked for."""
    try:
        options.run_step(options, errors)
    except KeyboardInterrupt:
        raise LabellingError(
            "interrupted; what was stored is kept, and the same command goes on from there"
        ) from None
