"""`python -m fuzz`: the long run over everything that parses; `make fuzz` calls it."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fuzz.everything import TARGETS
from fuzz.target import MOST_GROWTH, Report, fuzz


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="most seconds in all")
    parser.add_argument("--seed", type=int, default=1, help="the same gives the same inputs")
    names = [target.name for target in TARGETS]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    return parser.parse_args(argv)


async def run(given: argparse.Namespace, console: Console) -> list[Report]:
    """Fuzz one target after another, each with its part of the cases and of the time."""
    targets = [target for target in TARGETS if target.name in given.only]
    whole = sum(target.weight for target in targets)
    reports = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        for target in targets:
            part = target.weight / whole
            cases = math.ceil(given.cases * part)
            task = progress.add_task(target.name, total=cases)
            reports.append(
                await fuzz(
                    target,
                    cases=cases,
                    seed=given.seed,
                    seconds=given.seconds * part,
                    on_progress=partial(progress.advance, task),
                )
            )
    return reports


def table(reports: Sequence[Report]) -> Table:
    """What came of it."""
    result = Table(title=f"{sum(report.cases for report in reports):,} cases")
    result.add_column("target")
    for name in ("cases", "cases/s", "ways of answering", "slowest, ms", "growth, MiB", "failures"):
        result.add_column(name, justify="right")
    for report in reports:
        result.add_row(
            report.target,
            f"{report.cases:,}",
            f"{report.cases / max(report.seconds, 1e-9):,.0f}",
            f"{len(report.outcomes):,}",
            f"{1000 * report.slowest:.0f}",
            f"{report.growth / 2**20:.1f}",
            str(len(report.failures)),
        )
    return result


def main() -> None:
    """Fuzz, print, and fail where something failed."""
    given, console = parse(), Console()
    reports = asyncio.run(run(given, console))
    console.print(table(reports))
    failures = [str(failure) for report in reports for failure in report.kinds]
    failures += [
        f"{each.target}: grew by {each.growth} bytes" for each in reports if each.growth > MOST_GROWTH
    ]
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
