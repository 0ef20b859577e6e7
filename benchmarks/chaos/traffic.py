"""Steady load: requests at even moments, whatever comes back, for as long as the context lasts."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks.chaos.asking import Asked, Callers

_MIX: Final = (
    "Route",
    "Route",
    "Chat",
    "Route",
    "Complete",
    "Route",
    "Route",
    "Route",
    "HTTP",
    "Route",
    "Route",
    "Route",
)
"""Kinds of requests in turn: engines on two cores answer one or two a second."""


@dataclass(slots=True)
class Traffic:
    """What was asked so far.

    Attributes:
        started: When, in seconds of `time.perf_counter`.
        asked: Requests that have ended.
        outstanding: Requests that have not.
    """

    started: float = field(default_factory=time.perf_counter)
    asked: list[Asked] = field(default_factory=list)
    outstanding: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    async def settled(self) -> None:
        """Wait for all that is under way now."""
        await asyncio.gather(*self.outstanding)


Ask = Callable[[str, str, float, float], Awaitable[Asked]]


@asynccontextmanager
async def traffic(callers: Callers, *, rate: float, mix: Sequence[str] = _MIX) -> AsyncIterator[Traffic]:
    """So many requests a second while the context lasts; on leaving it, the last of them are waited for."""
    load = Traffic()
    making = asyncio.create_task(_make(load, callers.ask, rate, mix))
    try:
        yield load
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await load.settled()


async def _make(load: Traffic, ask: Ask, rate: float, mix: Sequence[str]) -> None:
    for number in itertools.count():
        due = number / rate
        await asyncio.sleep(max(0.0, due - load.now))
        task = asyncio.create_task(_one(load, ask, mix[number % len(mix)], number, due))
        load.outstanding.add(task)
        task.add_done_callback(load.outstanding.discard)


async def _one(load: Traffic, ask: Ask, kind: str, number: int, due: float) -> None:
    load.asked.append(await ask(kind, prompt(number, kind), due, load.started))


def prompt(number: int, kind: str) -> str:
    """The prompt of a request: for every other decision one that nobody has asked before.

    Answers are all to one prompt, which engines have in their caches: on two cores a small engine takes a second or two
    to read a new one, and a tenth of that to answer.
    """
    new = kind == "Route" and number % 4 < 2  # noqa: PLR2004 - every other pair
    # In groups of digits: words come again, as they do in what people ask.
    return f"Name a number above {number:,}.".replace(",", " ") if new else "Name a number."
