"""`python -m benchmarks.noisy_neighbour`: twenty tenants, one of whom sends fifty times as much as each of the others.

With a real router, Redis, Triton and a backend: decisions on known scores, where the router's own time is what there
is too little of, without limits and with a limit at twice what the others send; and answers of an engine with a few
slots, where those are. Every tenant sends at even moments whatever comes back, and is timed from when a question was
due. Runs without the one and with it take turns; what is told is how the other nineteen fared with it, against
without. Loopback only; it ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Final

import uvloop
from benchmarks import provenance, report
from benchmarks.__main__ import RESULTS
from benchmarks.abuser import OK, Abuser, Asking, abuser, outcome_of
from benchmarks.clients import grpc_unary
from benchmarks.load import Load, LoadFailed, open_loop
from benchmarks.measures import requests
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Sample, percentile
from benchmarks.system import Router, Starter
from benchmarks.tenants import AMPLE, Tenants
from rich.console import Console

from steersman.local.parts import MissingPart, Parts
from steersman.local.ports import Ports
from steersman.local.processes import StartFailed

OTHERS: Final = tuple(f"team-{number}" for number in range(1, 20))
ABUSER: Final = "abuser"
TIMES: Final = 50
KNOWN: Final = 64
"""Prompts whose scores are known."""
SLOTS: Final = 16
ANSWER_SECONDS: Final = 0.08
"""Time of the engine for an answer: with its slots, 200 answers a second."""
_WARM_UP_SECONDS: Final = 4.0
"""Time in which the one spends what it may send at once."""
_LONGEST_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What the tenants ask for.

    Attributes:
        title: In words.
        method: Of the router.
        question: From a prompt.
        rate: Questions a second of each of the others.
        limits: Of every tenant.
    """

    title: str
    method: str
    question: Callable[[str], bytes]
    rate: float
    limits: Mapping[str, float] = field(default_factory=lambda: AMPLE)


_RATE: Final = 8.0
_LIMITED: Final = {**AMPLE, "requests_per_minute": 2 * 60 * _RATE}
KINDS: Final = {
    "route": Kind("Route, L1 hit", requests.ROUTE, requests.route, _RATE),
    "limited": Kind("Route, L1 hit, limits of twice that", requests.ROUTE, requests.route, _RATE, _LIMITED),
    "complete": Kind(f"Complete, {SLOTS} slots at the engine", requests.COMPLETE, requests.complete, 4.0),
}


@dataclass(slots=True)
class Round:
    """What came of one run.

    Attributes:
        others: What the nineteen got.
        worst: The smallest part of what one of them asked for that was answered.
        abuser: What the one got, by outcome.
    """

    others: Sample
    worst: float
    abuser: Counter[str] = field(default_factory=Counter)


class House:
    """A router and its tenants, each with a connection of its own."""

    def __init__(
        self, kind: Kind, calls: Mapping[str, Callable[[], Awaitable[str]]], abusing: Abuser
    ) -> None:
        self._kind = kind
        self._calls = calls
        self._abusing = abusing

    async def run(self, seconds: float, *, abused: bool) -> Round:
        """Have all ask for so long."""
        rate = self._kind.rate
        asking = [
            self._ask(name, number / len(OTHERS) / rate, rate, seconds) for number, name in enumerate(OTHERS)
        ]
        loads, got = await asyncio.gather(
            asyncio.gather(*asking), self._abusing.ask(seconds) if abused else _nothing()
        )
        return _round(loads, got)

    async def _ask(self, name: str, later: float, rate: float, seconds: float) -> Load[str]:
        await asyncio.sleep(later)  # those who ask at the same rate would all ask at once
        return await open_loop(self._calls[name], rate=rate, seconds=seconds)


async def _nothing() -> Counter[str]:
    return Counter()


def _round(loads: Sequence[Load[str]], abuser: Counter[str]) -> Round:
    waits = [
        wait for load in loads for wait, told in zip(load.waits, load.answers, strict=True) if told == OK
    ]
    answered = [load.answers.count(OK) / len(load.answers) for load in loads]
    sample = Sample(
        count=len(waits),
        wrong=sum(len(load.answers) for load in loads) - len(waits),
        seconds=max(load.seconds for load in loads),
        p50_ms=1000 * percentile(waits, 50),
        p99_ms=1000 * percentile(waits, 99),
        cpu_seconds={},
    )
    return Round(sample, min(answered), abuser)


@asynccontextmanager
async def house(kind: Kind, folder: Path) -> AsyncIterator[House]:
    """Start everything, and stop it in the end."""
    tenants = Tenants.named([*OTHERS, ABUSER], limits=kind.limits)
    prompts = Prompts(seed=10).some(KNOWN)
    questions = [kind.question(prompt) for prompt in prompts]
    async with Starter(Parts(), Ports(), folder) as starter, AsyncExitStack() as stack:
        valkey, triton = await starter.valkey(), await starter.triton()
        engine = await starter.engine(seconds=ANSWER_SECONDS)
        backend = await starter.backend(engine, slots=SLOTS)
        upstream = {"kind": "backend", "target": backend.address}
        router = await starter.router(valkey=valkey, triton=triton, upstream=upstream, tenants=tenants)
        calls, names = {}, (*OTHERS, ABUSER)
        await asyncio.gather(*(_decide(router, tenants.authorization(name), prompts) for name in names))
        for name in OTHERS:
            shown = tenants.authorization(name)
            ask = await stack.enter_async_context(
                grpc_unary(router.address, kind.method, authorization=shown)
            )
            calls[name] = outcome_of(ask, cycle(questions))
        asking = Asking(
            router.address, kind.method, tenants.authorization(ABUSER), questions, TIMES * kind.rate
        )
        yield House(kind, calls, await stack.enter_async_context(abuser(asking)))


async def _decide(router: Router, authorization: str, prompts: Sequence[str]) -> None:
    """Have a tenant's scores of all prompts known."""
    async with grpc_unary(router.address, requests.ROUTE, authorization=authorization) as decide:
        for prompt in prompts:
            await decide(requests.route(prompt))


async def measure(names: Sequence[str], *, rounds: int, seconds: float, console: Console) -> list[Outcome]:
    """All kinds, one after another."""
    outcomes: list[Outcome] = []
    for name in names:
        kind = KINDS[name]
        with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
            async with house(kind, Path(folder)) as running:
                await running.run(_WARM_UP_SECONDS, abused=True)
                alone, abused = [], []
                for _ in range(rounds):
                    alone.append(await running.run(seconds, abused=False))
                    abused.append(await running.run(seconds, abused=True))
        outcomes += _outcomes(kind, alone, abused)
        told = sum((each.abuser for each in abused), Counter[str]())
        console.print(
            f"{kind.title}: the abuser got {dict(told)}; of what the worst off of the others asked for,"
            f" {min(each.worst for each in abused):.1%} was answered"
        )
    return outcomes


def _outcomes(kind: Kind, alone: Sequence[Round], abused: Sequence[Round]) -> list[Outcome]:
    title = f"{kind.title}, {len(OTHERS)} tenants x {kind.rate:g}/s, one more x {TIMES * kind.rate:g}/s"
    figures = (
        Figure("others, with the abuser", (), [each.others for each in abused]),
        Figure("others, without", (), [each.others for each in alone]),
    )
    lengths = Prompts(seed=10).lengths
    return [
        Outcome(title, Metric.RATE, Bar(0.95), lengths, *figures),
        Outcome(title, Metric.P99, Bar(1.5, least=False), lengths, *figures),
        Outcome(title, Metric.P50, None, lengths, *figures),
    ]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noisy_neighbour", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="what is asked for")
    parser.add_argument("--rounds", type=int, choices=range(1, 21), default=3, metavar="1-20", help="of each")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a run, 30 at most")
    parser.add_argument("--json", type=Path, help="where to write; benchmarks/results/ by default")
    return parser.parse_args(argv)


def main() -> None:
    """Measure, print and write."""
    given, console = parse(), Console()
    now, started = datetime.now(UTC), time.monotonic()
    described = provenance.describe(now)
    seconds = min(given.seconds, _LONGEST_SECONDS)
    try:
        outcomes = uvloop.run(measure(given.only, rounds=given.rounds, seconds=seconds, console=console))
    except (LoadFailed, MissingPart, StartFailed) as error:
        sys.exit(str(error))
    console.print(report.figures(outcomes))
    path = given.json or RESULTS / f"{now:%Y%m%dT%H%M%SZ}-{described['commit'][:7]}-noisy-neighbour.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(report.json(outcomes, described, seconds=time.monotonic() - started))
    console.print(f"Written to {path}")


if __name__ == "__main__":
    main()
