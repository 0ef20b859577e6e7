"""Callers that ask a router for more than it can do, in a process of their own, and what they got.

They ask in streams, one question after another, or at even moments whatever comes back. Answers and refusals are kept
as they come and judged when the clock has stopped, so that judging them takes no time of whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Final

import grpc
import uvloop
from benchmarks.chaos.ways import ERRORS, Ask, Ending, Way

_TURN: Final = 16
"""Questions that are late and asked at once, before answers are looked at again."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who asks whom for what.

    Attributes:
        way: How the router is asked.
        questions: Again and again.
        right: What an answer counts for; 0 when it is wrong.
        deadline: Seconds that an answer may take, from when its question was due.
    """

    way: Way
    questions: Sequence[bytes]
    right: Callable[[bytes], int]
    deadline: float


@dataclass(frozen=True, slots=True)
class Streams:
    """So many, for so long."""

    streams: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EvenMoments:
    """So many questions a second, for so long."""

    rate: float
    seconds: float


@dataclass(slots=True)
class Got:
    """What came of it; times in seconds since a question was due.

    Attributes:
        sent: Questions that were asked.
        seconds: In which they were.
        late: Seconds by which each was asked too late.
        busy: Part of the time that this process worked.
        answered: Right answers.
        wrong: Others.
        refused: Refusals in words that say when to come back.
        silent: Refusals in words that do not.
        shed: Cancelled by the server.
        failed: Whatever else, by what it was.
    """

    sent: int = 0
    seconds: float = 0.0
    late: list[float] = field(default_factory=list)
    busy: float = 0.0
    answered: list[float] = field(default_factory=list)
    wrong: int = 0
    refused: list[float] = field(default_factory=list)
    silent: int = 0
    shed: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)


def serve(line: Connection, crowd: Crowd) -> None:
    """Ask whenever it is told; see `benchmarks.beside`."""
    uvloop.run(_serve(line, crowd))


async def _serve(line: Connection, crowd: Crowd) -> None:
    async with crowd.way.opened() as ask:
        asking = _Asking(ask, cycle(crowd.questions), crowd.deadline)
        line.send(None)
        while (told := await asyncio.to_thread(line.recv)) is not None:
            line.send(_judged(crowd, await asking.run(told)))


@dataclass(slots=True)
class _Raw:
    """As it came."""

    got: Got = field(default_factory=Got)
    answers: list[tuple[float, bytes]] = field(default_factory=list)
    errors: list[tuple[float, Exception]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Asking:
    ask: Ask
    questions: Iterator[bytes]
    deadline: float

    async def run(self, told: Streams | EvenMoments) -> _Raw:
        raw, began, worked = _Raw(), time.perf_counter(), time.process_time()
        if isinstance(told, Streams):
            end = began + told.seconds
            await asyncio.gather(*(self._stream(raw, end) for _ in range(told.streams)))
        else:
            await self._at_even_moments(raw, told)
        raw.got.busy = (time.process_time() - worked) / (time.perf_counter() - began)
        return raw

    async def _stream(self, raw: _Raw, end: float) -> None:
        while (now := time.perf_counter()) < end:
            await self._one(raw, now)

    async def _at_even_moments(self, raw: _Raw, told: EvenMoments) -> None:
        got, began = raw.got, time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round(told.rate * told.seconds)):
                due = began + number / told.rate
                early = due - time.perf_counter()
                if early > 0 or number % _TURN == 0:
                    await asyncio.sleep(max(0.0, early))
                got.late.append(time.perf_counter() - due)
                group.create_task(self._one(raw, due))
            got.sent, got.seconds = len(got.late), time.perf_counter() - began

    async def _one(self, raw: _Raw, due: float) -> None:
        left = due + self.deadline - time.perf_counter()  # what is asked too late has less
        try:
            answer = await self.ask(next(self.questions), max(0.0, left))
        except ERRORS as error:
            raw.errors.append((time.perf_counter() - due, error))
        else:
            raw.answers.append((time.perf_counter() - due, answer))


def _judged(crowd: Crowd, raw: _Raw) -> Got:
    got = raw.got
    for seconds, answer in raw.answers:
        if crowd.right(answer):
            got.answered.append(seconds)
        else:
            got.wrong += 1
    for seconds, error in raw.errors:
        match crowd.way.ending(error):
            case Ending.REFUSED:
                got.refused.append(seconds)
            case Ending.SILENT:
                got.silent += 1
            case Ending.SHED:
                got.shed.append(seconds)
            case Ending.FAILED:
                got.failed[_name(error)] += 1
    return got


def _name(error: Exception) -> str:
    return error.code().name if isinstance(error, grpc.aio.AioRpcError) else type(error).__name__
