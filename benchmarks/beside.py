"""A process of this package beside the one that measures, which does as it is told over a line."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

T = TypeVar("T")

_ENDING_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Beside:
    """Such a process.

    Attributes:
        pid: Its id.
        line: To it.
    """

    pid: int
    line: Connection

    async def ask(self, told: object) -> Any:
        """Tell it something; what it says to that."""
        self.line.send(told)
        return await asyncio.to_thread(self.line.recv)


@asynccontextmanager
async def beside(serve: Callable[[Connection, T], None], given: T) -> AsyncIterator[Beside]:
    """Start it, and stop it in the end.

    Args:
        serve: What it does: says that it has come up, then answers all that it is told until that is None.
        given: What it needs for that.
    """
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=serve, args=(its, given), daemon=True)
    process.start()
    try:
        await asyncio.to_thread(ours.recv)
        assert process.pid is not None  # noqa: S101 - it has been started
        yield Beside(process.pid, ours)
    finally:
        ours.send(None)
        await asyncio.to_thread(process.join, _ENDING_SECONDS)
        process.kill()
