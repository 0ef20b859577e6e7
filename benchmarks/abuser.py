"""The tenant that sends far too much, in a process of its own: whoever does so in earnest has a machine of its own.

In one process with the others its questions and answers would hold up theirs, and the others' times would be those of
the generator.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Final

import grpc
import uvloop
from benchmarks.beside import Beside, beside
from benchmarks.clients import Unary, grpc_unary
from benchmarks.load import open_loop

OK: Final = "OK"
NOT_SENT: Final = "NOT_SENT"
_MOST_OUTSTANDING: Final = 256
"""Questions without an answer that it can have; it asks no more until one has come."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What it does.

    Attributes:
        address: Whom it asks.
        method: What of.
        authorization: Its key.
        questions: Again and again.
        rate: A second, at even moments.
    """

    address: str
    method: str
    authorization: str
    questions: Sequence[bytes]
    rate: float


@dataclass(frozen=True, slots=True)
class Abuser:
    """A process that asks when it is told."""

    process: Beside

    async def ask(self, seconds: float) -> Counter[str]:
        """Have it ask for so long; what it got, by outcome."""
        return Counter(await self.process.ask(seconds))


@asynccontextmanager
async def abuser(asking: Asking) -> AsyncIterator[Abuser]:
    """Start it, and stop it in the end."""
    async with beside(_serve, asking) as process:
        yield Abuser(process)


def outcome_of(ask: Unary, questions: Iterator[bytes]) -> Callable[[], Awaitable[str]]:
    """Asks the next question, and says what came of it."""

    async def call() -> str:
        try:
            await ask(next(questions))
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return OK

    return call


def _serve(line: Connection, asking: Asking) -> None:
    uvloop.run(_ask(line, asking))


async def _ask(line: Connection, asking: Asking) -> None:
    outstanding = 0
    async with grpc_unary(asking.address, asking.method, authorization=asking.authorization) as ask:
        call = outcome_of(ask, cycle(asking.questions))

        async def bounded() -> str:
            nonlocal outstanding
            if outstanding >= _MOST_OUTSTANDING:
                return NOT_SENT
            outstanding += 1
            try:
                return await call()
            finally:
                outstanding -= 1

        line.send(None)
        while (seconds := await asyncio.to_thread(line.recv)) is not None:
            load = await open_loop(bounded, rate=asking.rate, seconds=seconds)
            line.send(dict(Counter(load.answers)))
