"""`python -m benchmarks.stages`: where the time of a decision goes whose score is known.

A real router on real parts is asked in a closed loop, and py-spy samples the stacks of the thread that does the work.
Each sample belongs to a stage, or to what no stage counts: the edge, the ledger, the response, and gRPC with its event
loop. What a stage comes to by that, from the thread's processor time, is held against what the router's own histogram
of the stage says. Loopback only; it ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import psutil
import uvloop
from benchmarks import profiling, provenance
from benchmarks.__main__ import RESULTS
from benchmarks.chaos.watching import text_of, total
from benchmarks.clients import Unary, grpc_unary
from benchmarks.load import LoadFailed, closed_loop
from benchmarks.measures import requests
from benchmarks.measures.route import KNOWN, STREAMS
from benchmarks.profiling import Frame, ProfileFailed, Stack
from benchmarks.prompts import Prompts
from benchmarks.system import Router, Running, system
from rich.console import Console
from rich.table import Table

from steersman.local.parts import MissingPart, Parts
from steersman.local.processes import StartFailed
from steersman.router.routing import Routing

STAGES: Final = ("admission", "cache", "decide")
"""Those that such a request has."""
EDGE: Final = "edge: span, counts, errors"
LEDGER: Final = "ledger: metrics, decision to be explained"
RESPONSE: Final = "response, and the conversation's tier"
WRITES: Final = "writes to Redis"
WATCHING: Final = "watching the load"
RPC: Final = "gRPC and the event loop"
PARTS: Final = (*STAGES, LEDGER, RESPONSE, EDGE, WRITES, WATCHING, RPC)
_MAIN: Final = "steersman/runtime/process.py"
"""In each stack of the thread that does the work."""
_WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Lines:
    """Which lines of `Routing._decide` belong to which stage: those up to the line that notes its end.

    Attributes:
        ends: Of the stages, in their order: the last line of each.
    """

    ends: Mapping[str, int]

    @classmethod
    def read(cls) -> Lines:
        """From the source.

        Raises:
            LookupError: It has other stages than this module knows.
        """
        source, first = inspect.getsourcelines(Routing._decide)  # noqa: SLF001 - its lines are what is asked for
        admitted, decided = (_line(source, f"record.stages.{stage} = ") for stage in ("admission", "decide"))
        began = _line(source, "started = time.perf_counter()")
        return cls(dict(zip(STAGES, (first + admitted, first + began - 1, first + decided), strict=True)))

    def stage(self, line: int) -> str:
        """The stage of a line; of those after the last stage, the response."""
        return next((stage for stage, end in self.ends.items() if line <= end), RESPONSE)


def _line(source: Sequence[str], beginning: str) -> int:
    for number, line in enumerate(source):
        if line.strip().startswith(beginning):
            return number
    raise LookupError(f"Routing._decide has no line {beginning!r}")


def part_of(frames: Sequence[Frame], lines: Lines) -> str:
    """What calls in progress belong to."""
    by_name = {(frame.file, frame.function.rpartition(".")[2]): frame for frame in frames}
    if decide := by_name.get((_ROUTING, "_decide")):
        return lines.stage(decide.line)
    if (_ROUTING, "route") in by_name and (
        around := [name for file, name in by_name if file == "contextlib.py"]
    ):
        return LEDGER if "__exit__" in around else "admission"  # it is let in, and written down in the end
    files = {file for file, _ in by_name}
    of_call = (part for call, part in _OF_CALLS.items() if call in by_name)
    of_file = (part for file, part in _OF_FILES.items() if file in files)
    return next(of_call, next(of_file, RPC))


_ROUTING: Final = "steersman/router/routing.py"
_OF_CALLS: Final = {
    ("steersman/router/servicer.py", "_request"): "admission",
    ("steersman/router/servicer.py", "Route"): RESPONSE,
    ("steersman/runtime/interceptor.py", "handled"): EDGE,
}
"""The innermost first."""
_OF_FILES: Final = {
    "steersman/router/adapters/redis.py": WRITES,
    "steersman/router/strain.py": WATCHING,
    "steersman/runtime/shedding.py": WATCHING,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a router has said and used so far.

    Attributes:
        requests: That have ended.
        stages: Seconds of each stage, all requests together.
        thread: Seconds of processor time of the thread that does the work.
        process: The same of all threads.
    """

    requests: float
    stages: Mapping[str, float]
    thread: float
    process: float


@dataclass(frozen=True, slots=True)
class Found:
    """Where the time went, in microseconds a request.

    Attributes:
        by_profile: Of the thread that does the work, by part.
        by_histogram: By stage.
        other_threads: Processor time of gRPC's own threads and the others.
        samples: That the profile is made of.
        echo: Processor time of a bare echo of the same messages.
    """

    by_profile: Mapping[str, float]
    by_histogram: Mapping[str, float]
    other_threads: float
    samples: int
    echo: float

    @classmethod
    def of(cls, before: Reading, after: Reading, stacks: Iterable[Stack], *, echo: float) -> Found:
        """From what was read before and after a time, and a profile of another one with the same load.

        Raises:
            ProfileFailed: The thread that does the work is nowhere in it.
        """
        lines, counts = Lines.read(), Counter[str]()
        for stack in stacks:
            if any(frame.file == _MAIN for frame in stack.frames):
                counts[part_of(stack.frames, lines)] += stack.count
        if not counts:
            raise ProfileFailed("py-spy has not met the router at work")
        microseconds = 1e6 / (after.requests - before.requests)
        thread = (after.thread - before.thread) * microseconds
        process = (after.process - before.process) * microseconds
        return cls(
            {part: thread * counts[part] / counts.total() for part in PARTS},
            {stage: (after.stages[stage] - before.stages[stage]) * microseconds for stage in STAGES},
            process - thread,
            counts.total(),
            echo,
        )


async def read(router: Router, session: aiohttp.ClientSession) -> Reading:
    """What the router says now, and what it has used."""
    text = await text_of(session, f"http://{router.metrics_address}/metrics")
    process = psutil.Process(router.pid)
    (thread,) = (each for each in process.threads() if each.id == router.pid)
    used = process.cpu_times()
    return Reading(
        total([text], "steersman_requests_total", outcome="OK"),
        {stage: total([text], "steersman_stage_duration_seconds_sum", stage=stage) for stage in STAGES},
        thread.user_time + thread.system_time,
        used.user + used.system,
    )


async def measure(seconds: int, folder: Path) -> Found:
    """Ask a router for so long, then watch it for as long; then ask a bare echo."""
    questions = [requests.route(prompt) for prompt in Prompts(seed=1).some(KNOWN)]
    async with system(folder) as running, aiohttp.ClientSession() as session:
        router = running.router
        async with grpc_unary(router.address, requests.ROUTE) as ask:
            answer = [await ask(question) for question in (*questions, questions[0])][-1]
            await _asked(ask, questions, _WARM_UP_SECONDS)
            before = await read(router, session)
            await _asked(ask, questions, seconds)  # unwatched, since to be watched takes time
            after = await read(router, session)
            _, stacks = await asyncio.gather(
                _asked(ask, questions, seconds + 2 * _WARM_UP_SECONDS),
                profiling.profile(router.pid, seconds=seconds, folder=folder),
            )
        echo = await _echo(await running.peers.echo(answer), questions, seconds / 4)
        return Found.of(before, after, stacks, echo=echo)


async def _echo(echo: Running, questions: Sequence[bytes], seconds: float) -> float:
    """Microseconds of processor time that an echo takes a request."""
    process = psutil.Process(echo.pid)
    async with grpc_unary(echo.address, requests.ROUTE) as ask:
        await _asked(ask, questions, _WARM_UP_SECONDS)
        before = process.cpu_times()
        answered = await _asked(ask, questions, seconds)
        after = process.cpu_times()
    return 1e6 * (after.user + after.system - before.user - before.system) / answered


async def _asked(ask: Unary, questions: Sequence[bytes], seconds: float) -> int:
    """Ask for so long; how many were answered."""
    asked = cycle(questions)
    load = await closed_loop(lambda: ask(next(asked)), streams=STREAMS, seconds=seconds)
    return len(load.answers)


def table(found: Found) -> Table:
    """One row a part."""
    told = Table(
        title="A decision whose score is known, in microseconds; processor time unless said otherwise"
    )
    told.add_column("part")
    for column in ("by the profile", "of all", "the histogram's mean, by the clock"):
        told.add_column(column, justify="right")
    whole = sum(found.by_profile.values()) + found.other_threads
    rows = {**found.by_profile, "other threads, gRPC's and libraries'": found.other_threads}
    for part, each in rows.items():
        histogram = f"{found.by_histogram[part]:.1f}" if part in found.by_histogram else ""
        told.add_row(part, f"{each:.1f}", f"{each / whole:.1%}", histogram)
    told.add_section()
    told.add_row("all", f"{whole:.1f}", "", "")
    told.add_row("a bare echo of the same messages", f"{found.echo:.1f}", f"{found.echo / whole:.1%}", "")
    return told


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument(
        "--seconds", type=int, choices=range(5, 121), default=30, metavar="5-120", help="length (default: 30)"
    )
    parser.add_argument("--json", type=Path, help="where to write; benchmarks/results/ by default")
    return parser.parse_args(argv)


def main() -> None:
    """Measure, print and write."""
    given, console, now = parse(), Console(), datetime.now(UTC)
    described = provenance.describe(now)
    try:
        profiling.program(Parts())
        with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
            found = uvloop.run(measure(given.seconds, Path(folder)))
    except (LoadFailed, MissingPart, ProfileFailed, StartFailed) as error:
        sys.exit(str(error))
    console.print(table(found))
    console.print(f"{found.samples:,} samples")
    path = given.json or RESULTS / f"stages-{now:%Y%m%dT%H%M%SZ}-{described['commit'][:7]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {**described, "microseconds": found}
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    console.print(f"Written to {path}")


if __name__ == "__main__":
    main()
