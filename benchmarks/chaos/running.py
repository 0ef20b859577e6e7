"""One fault after another under steady load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos.asking import Asked, callers
from benchmarks.chaos.faults import Fault
from benchmarks.chaos.findings import Finding, Phase, finding, ordinary
from benchmarks.chaos.stand import ROUTERS, Stand, stand
from benchmarks.chaos.traffic import Ask, Traffic, prompt, traffic
from benchmarks.chaos.watching import Breakers, watched_breakers

_WARM_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things last, in seconds, and how many requests there are a second."""

    rate: float = 6.0
    quiet: float = 8.0
    """Before the first fault: what is ordinary is learnt then."""
    lasts: float = 4.0
    """A fault."""
    after: float = 7.0
    """Time that the system has to be as before."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was found, and every request."""

    findings: Sequence[Finding]
    asked: Sequence[Asked]


async def run(
    folder: Path,
    faults: Sequence[Fault],
    pace: Pace,
    tell: Callable[[str], None],
    *,
    faketime: Path | None = None,
) -> Run:
    """Start a system, load it and let things go wrong.

    Args:
        folder: For logs and files.
        faults: In this order.
        pace: How long things last.
        tell: Told what happens.
        faketime: Library by which the routers' clocks can be set, for faults of theirs.
    """
    async with AsyncExitStack() as stack:
        tell("Starting the system ...")
        system = await stack.enter_async_context(stand(folder, faketime=faketime))
        metrics = {name: system.metrics[name] for name in ROUTERS}
        breakers = await stack.enter_async_context(watched_breakers(metrics))
        asking = await stack.enter_async_context(callers(system.grpc, system.http))
        await _warm(asking.ask)
        async with traffic(asking, rate=pace.rate) as load:
            await asyncio.sleep(pace.quiet)
            scene = _Scene(system, load, breakers, tell)
            phases = [await _go_wrong(scene, fault, pace) for fault in faults]
        usual = ordinary([each for each in load.asked if each.due < pace.quiet])
    return Run([finding(phase, load.asked, usual, seen) for phase, seen in phases], load.asked)


async def _warm(ask: Ask) -> None:
    """The first requests of a process are not like the others, nor is the first in a slot of an engine."""
    for number in range(_WARM_ROUNDS):
        kinds = ("Route", *("Chat",) * 4, "HTTP", *("Complete",) * 2)
        started = time.perf_counter()
        await asyncio.gather(*(ask(kind, prompt(number, kind), 0.0, started) for kind in kinds))


@dataclass(frozen=True, slots=True)
class _Scene:
    system: Stand
    load: Traffic
    breakers: Breakers
    tell: Callable[[str], None]


async def _go_wrong(scene: _Scene, fault: Fault, pace: Pace) -> tuple[Phase, dict[str, list[str]]]:
    system, load, breakers = scene.system, scene.load, scene.breakers
    breakers.forget()
    began = load.now
    async with fault.begin(system):
        await asyncio.sleep(max(pace.lasts, fault.lasts))
        lifting = load.now
    lifted = load.now
    await asyncio.sleep(pace.after)
    phase = Phase(fault.name, began, lifting, lifted, load.now)
    seen = breakers.told()
    outcomes = [each.outcome for each in load.asked if each.due >= began]
    told = ", ".join(f"{outcomes.count(name)} {name}" for name in sorted(set(outcomes)))
    scene.tell(f"{fault.name}: {told}{'' if breakers.closed else '; a breaker is still open'}")
    return phase, seen
