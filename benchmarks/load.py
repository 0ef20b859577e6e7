"""Load: one question after another in a fixed number of streams, or at fixed moments whatever comes back.

The first is a closed loop and finds what a server can do at most. The second is an open loop and finds how long callers
wait: each answer is timed from the moment at which its question was due, so that a server that stalls cannot hide it
by keeping the generator from asking (coordinated omission).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")

_MOST_OUTSTANDING: Final = 1024
"""Questions of an open loop without an answer; a server that has more of them is not measured any more."""
_PATIENCE_SECONDS: Final = 30.0
"""How long the last answers are waited for."""


class LoadFailed(Exception):
    """A question got no answer, or answers did not keep up with questions; there is nothing to measure."""


@dataclass(slots=True)
class Load(Generic[R]):
    """What came of a load.

    Attributes:
        seconds: From the first question to the last answer.
        waits: Seconds that each answer took.
        answers: The answers, to be judged when the clock has stopped.
    """

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    answers: list[R] = field(default_factory=list)


async def closed_loop(call: Callable[[], Awaitable[R]], *, streams: int, seconds: float) -> Load[R]:
    """Ask in so many streams for so long; a stream asks again as soon as it has its answer.

    Raises:
        LoadFailed: A question got no answer.
    """
    load: Load[R] = Load()
    started = time.perf_counter()
    end = started + seconds

    async def stream() -> None:
        now = time.perf_counter()
        while now < end:
            answer = await call()
            asked, now = now, time.perf_counter()
            load.waits.append(now - asked)
            load.answers.append(answer)

    async with _tasks(seconds + _PATIENCE_SECONDS) as group:
        for _ in range(streams):
            group.create_task(stream())
    load.seconds = time.perf_counter() - started
    return load


async def each_once(
    ask: Callable[[Q], Awaitable[R]], questions: Iterable[Q], *, streams: int, seconds: float
) -> Load[R]:
    """Ask every question once, in so many streams.

    Raises:
        LoadFailed: A question got no answer, or not all were asked in that time.
    """
    load: Load[R] = Load()
    started = time.perf_counter()
    left = iter(questions)

    async def stream() -> None:
        for question in left:
            asked = time.perf_counter()
            load.answers.append(await ask(question))
            load.waits.append(time.perf_counter() - asked)

    async with _tasks(seconds) as group:
        for _ in range(streams):
            group.create_task(stream())
    load.seconds = time.perf_counter() - started
    return load


async def open_loop(call: Callable[[], Awaitable[R]], *, rate: float, seconds: float) -> Load[R]:
    """Ask at even moments, so many a second.

    Raises:
        LoadFailed: A question got no answer, or answers do not keep up.
    """
    load: Load[R] = Load()
    started = time.perf_counter()
    outstanding = 0

    async def ask(due: float) -> None:
        nonlocal outstanding
        outstanding += 1
        load.answers.append(await call())
        load.waits.append(time.perf_counter() - due)
        outstanding -= 1

    async with _tasks(seconds + _PATIENCE_SECONDS) as group:
        for number in itertools.count():
            due = started + number / rate
            if due >= started + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if outstanding >= _MOST_OUTSTANDING:
                raise LoadFailed(f"more than {_MOST_OUTSTANDING} requests without an answer at {rate:.0f}/s")
            group.create_task(ask(due))
    load.seconds = time.perf_counter() - started
    return load


@asynccontextmanager
async def _tasks(seconds: float) -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that have so long; the first that fails speaks for all."""
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            yield group
    except TimeoutError:
        raise LoadFailed(f"not all answers came within {seconds:g} s") from None
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        raise LoadFailed(f"{type(first).__name__}: {first}") from failures
