"""`python -m steersman.local`: what the Makefile calls."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from rich.console import Console

from steersman.local import options, supervisor, up
from steersman.local.demo import run as demo
from steersman.local.parts import MissingPart, Parts
from steersman.local.ports import NoFreePort
from steersman.local.processes import StartFailed

_WIDE = 160
"""Columns that the demo's table needs, where there is no terminal to fit into."""


def main() -> int:
    """Run one command. Returns the exit status."""
    command = _parse().command
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_WIDE)
    parts = Parts()
    try:
        chosen = options.read(os.environ)
        if command == "supervise":
            return supervisor.run(chosen, parts)
        if command == "up":
            return up.up(chosen, parts, console)
        if command == "down":
            return up.down(parts, console)
        asyncio.run(demo.run(chosen, parts, console, folder=parts.local / "demo"))
    except (options.BadOption, MissingPart, StartFailed, NoFreePort) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything that was started is stopped.")
        return 130
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m steersman.local", description="The whole system on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start it, print its addresses and leave it running")
    commands.add_parser("down", help="stop what up started")
    commands.add_parser(
        "demo", help="start it, route a dozen prompts, show each decision and a trace, stop it"
    )
    commands.add_parser("supervise", help="hold it until SIGTERM; what up runs in the background")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
