"""`python -m benchmarks`: measures the product beside what it is measured against, in the same run.

Everything listens on the loopback interface, everything that is started is stopped, and no load runs without an end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvloop
from benchmarks import provenance, report
from benchmarks.load import LoadFailed
from benchmarks.measures import MEASURES
from benchmarks.outcomes import Outcome
from benchmarks.programs import NotAsked
from benchmarks.samples import Plan, WrongAnswers
from benchmarks.system import system
from rich.console import Console

from steersman.local.parts import CHECKOUT, MissingPart
from steersman.local.processes import StartFailed

RESULTS: Final = CHECKOUT / "benchmarks" / "results"
_LONGEST_SECONDS: Final = 60.0
_MOST_ROUNDS: Final = 100


@dataclass(slots=True)
class Findings:
    """What measures found, and why others found nothing: they failed, or what they need is not installed."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


async def measure(names: Sequence[str], plan: Plan, console: Console) -> Findings:
    """Run measures, in the order in which they are listed in `MEASURES`; one that fails does not end the others."""
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
        async with system(Path(folder)) as running:
            for name in (name for name in MEASURES if name in names):
                console.print(f"Measuring {name} ...")
                try:
                    findings.outcomes += await MEASURES[name](running, plan)
                except NotAsked as absence:
                    findings.skipped[name] = str(absence)
                except (WrongAnswers, LoadFailed, MissingPart, StartFailed) as error:
                    findings.failures[name] = str(error)
    return findings


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=MEASURES,
        default=list(MEASURES),
        metavar="NAME",
        help=f"measures to run: {', '.join(MEASURES)}; routellm is skipped where .local/bench-routellm is not, "
        "which make bench ARGS='--only routellm' makes and plain make bench does not, for its 6 GB",
    )
    parser.add_argument("--seconds", type=_seconds, default=3.0, help="length of a timed run")
    parser.add_argument("--rounds", type=_rounds, default=5, help="timed runs of each side")
    parser.add_argument(
        "--json", type=Path, help="where to write the results; benchmarks/results/ by default"
    )
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.0 < seconds <= _LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"more than 0 and at most {_LONGEST_SECONDS:g}")
    return seconds


def _rounds(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= _MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"from 1 to {_MOST_ROUNDS}")
    return rounds


def main() -> None:
    """Measure, print and write."""
    given = parse()
    console = Console()
    now, started = datetime.now(UTC), time.monotonic()
    described = provenance.describe(now)
    plan = Plan(rounds=given.rounds, seconds=given.seconds)
    try:
        findings = uvloop.run(measure(given.only, plan, console))
    except (MissingPart, StartFailed) as error:
        sys.exit(str(error))
    for name, why in findings.skipped.items():
        console.print(f"Skipped {name}: {why}")
    if findings.outcomes:
        console.print(report.figures(findings.outcomes), report.sides(findings.outcomes), sep="\n\n")
        path = given.json or RESULTS / f"{now:%Y%m%dT%H%M%SZ}-{described['commit'][:7]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(report.json(findings.outcomes, described, seconds=time.monotonic() - started))
        console.print(f"Written to {path}")
    if findings.failures or not findings.outcomes:
        failures = "\n".join(f"{name}: {why}" for name, why in findings.failures.items())
        sys.exit(failures or "Nothing was measured.")


if __name__ == "__main__":
    main()
