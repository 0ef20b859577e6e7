"""`python -m benchmarks.chaos`: what happens to requests when parts fail; `make chaos` calls it.

Everything listens on the loopback interface, everything that is started is stopped, and every part ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from benchmarks import provenance
from benchmarks.chaos import clocks, picture, report
from benchmarks.chaos.draining import RATE, drain
from benchmarks.chaos.faults import CLOCKS, FAULTS, Fault
from benchmarks.chaos.leaving import leave
from benchmarks.chaos.overload import overload
from benchmarks.chaos.router_overload import EDGES, router_overload
from benchmarks.chaos.running import Pace, Run, run
from benchmarks.chaos.soaking import soak
from rich.console import Console

from steersman.local.parts import CHECKOUT, MissingPart
from steersman.local.processes import StartFailed

RESULTS: Final = CHECKOUT / "benchmarks" / "results"
WIDTH: Final = 180
"""Columns of a table that goes to no terminal."""
PARTS: Final = ("faults", "overload", "router-overload", "leaving", "drain")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=(*PARTS, "soak"),
        default=PARTS,
        metavar="PART",
        help=f"{', '.join(PARTS)}, soak",
    )
    parser.add_argument(
        "--faults", nargs="+", default=[""], metavar="WORD", help="only faults whose names have one of these"
    )
    pace = Pace()
    parser.add_argument(
        "--rate",
        type=float,
        help=f"requests a second; {pace.rate:g} among faults, {RATE:g} where routers are ended",
    )
    parser.add_argument("--seconds", type=float, default=pace.lasts, help="how long a fault lasts")
    parser.add_argument("--times", type=int, default=50, help="routers that are ended under load")
    parser.add_argument("--leave", type=int, default=1000, help="callers that leave")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the soak takes")
    parser.add_argument("--seed", type=int, default=1, help="of random moments")
    parser.add_argument("--json", type=Path, help="where results go; benchmarks/results/ by default")
    return parser.parse_args(argv)


async def measure(given: argparse.Namespace, console: Console, path: Path) -> dict[str, Any]:
    """Run the parts that are asked for; what each found, by its name."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="steersman-chaos-") as name:
        folder = Path(name)
        if "faults" in given.only:
            ran = await _faults(given, console, folder)
            console.print(report.of_faults([each for run in ran for each in run.findings]))
            for run, kind in zip(ran, (".png", ".clocks.png"), strict=False):
                picture.draw(path.with_suffix(kind), run.asked, run.findings)
            found["faults"] = [asdict(each) for run in ran for each in run.findings]
        if "overload" in given.only:
            found["overload"] = asdict(await overload(folder / "overload"))
            console.print(report.of_fields("3x overload of the engines", found["overload"]))
        if "router-overload" in given.only:
            found["router_overload"] = {}
            for over, edge in EDGES.items():
                told = asdict(await router_overload(folder / f"router-overload-{over}", edge))
                found["router_overload"][over] = told
                console.print(report.of_fields(f"3x overload of a router over {over}", told))
        if "leaving" in given.only:
            found["leaving"] = [
                asdict(each) for each in await leave(folder / "leaving", given.leave, given.seed)
            ]
            console.print(report.of_leaving(found["leaving"]))
        if "drain" in given.only:
            found["drain"] = asdict(
                await drain(folder / "drain", given.times, given.seed, given.rate or RATE)
            )
            console.print(report.of_fields("SIGTERM of one of two routers under load", found["drain"]))
        if "soak" in given.only:
            soaked = await soak(folder / "soak", given.minutes, path.with_suffix(".soak.png"), console.print)
            found["soak"] = asdict(soaked)
            console.print(report.of_fields("Soak", {**found["soak"], "samples": len(soaked.samples)}))
    return found


async def _faults(given: argparse.Namespace, console: Console, folder: Path) -> list[Run]:
    """The faults, and on a stand of their own those for which clocks are set, where that can be done."""
    pace = Pace(rate=given.rate or Pace().rate, lasts=given.seconds)
    faketime = clocks.interposer()

    def chosen(faults: Sequence[Fault]) -> list[Fault]:
        return [each for each in faults if any(word in each.name for word in given.faults)]

    ran = []
    if faults := chosen(FAULTS):
        ran.append(await run(folder / "faults", faults, pace, console.print))
    if (faults := chosen(CLOCKS)) and faketime:
        ran.append(await run(folder / "clocks", faults, pace, console.print, faketime=faketime))
    elif faults:
        console.print("Clocks are not set: libfaketime is not here (the package faketime of Debian has it).")
    return ran


def main() -> None:
    """Run, print and write; fail where a bar is missed."""
    given, console = parse(), Console(width=None if sys.stdout.isatty() else WIDTH)
    now, started = datetime.now(UTC), time.monotonic()
    described = provenance.describe(now)
    path = given.json or RESULTS / f"chaos-{now:%Y%m%dT%H%M%SZ}-{described['commit'][:7]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = asyncio.run(measure(given, console, path))
    except (MissingPart, StartFailed) as error:
        sys.exit(str(error))
    content = {**described, "seconds": round(time.monotonic() - started, 1), **found}
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    console.print(f"Written to {path}")
    if missed := report.missed(found):
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
