"""The `steersman` command: what a data scientist does with classifiers.

Each subcommand is a module of this package with `NAME`, `HELP`, `add_arguments` and `run`. This module only finds
the one that was asked for and tells what went wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from rich.console import Console

from steersman.classifier.errors import ClassifierError
from steersman.cli import calibrate, captures, data, evaluate, explain, keys, label, replay, train
from steersman.cli.captures import CapturesError
from steersman.cli.explain import ExplainError
from steersman.identity.key_file import KeyFileError

EXIT_OK = 0
EXIT_FAILED = 1
"""The command could not be done; `argparse` itself leaves with 2 for a command line that it cannot read."""

_COMMANDS: tuple[ModuleType, ...] = (data, train, label, evaluate, calibrate, replay, explain, keys, captures)
_DESCRIPTION = """\
Train the classifiers that decide which model answers a query, measure them, and choose where policies draw the line.

typical use:
  steersman data fetch routellm_eval --into data
  steersman train static_head --data data --out triton_models/static_head/1
  steersman evaluate --data data
  steersman calibrate --log decisions.jsonl --share strong=0.3 --policy-file policies.yaml
  steersman replay --log decisions.jsonl --policy-file policies.yaml --boundaries 0.8
  steersman explain 01a20d5086c574c1a450afe4e1c034c2
  steersman label sample labels --prompts traffic.jsonl --count 500
  steersman captures export --key-file capture-keys.yaml --out traffic.jsonl
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 0 done, 1 failed, 2 not understood."""
    options = _parser().parse_args(arguments)
    errors = Console(stderr=True, soft_wrap=True)
    try:
        options.run(options, errors)
    except (ClassifierError, CapturesError, ExplainError, KeyFileError) as error:
        errors.print(f"steersman {options.command}: {error}", style="bold red", markup=False, highlight=False)
        return EXIT_FAILED
    except KeyboardInterrupt:
        errors.print("interrupted; nothing is left half-written")
        return EXIT_FAILED
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="steersman", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        added = commands.add_parser(command.NAME, help=command.HELP, description=command.DESCRIPTION)
        command.add_arguments(added)
        added.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
