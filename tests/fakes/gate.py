"""A gate that fakes wait at, so that a test decides when something that takes time comes to its end."""

from __future__ import annotations

import asyncio
from typing import Final

_PATIENCE_SECONDS: Final = 5.0


class Gate:
    """Open at first; whoever comes to it while it is closed waits until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Hold whoever comes."""
        self._open.clear()

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()

    async def passed(self) -> None:
        """Go through the gate, as soon as it is open."""
        self._count(1)
        try:
            await self._open.wait()
        finally:
            self._count(-1)

    async def until(self, *, waiting: int) -> None:
        """Wait until exactly so many wait at the gate."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.waiting != waiting:
                await self._changed.wait()

    def _count(self, change: int) -> None:
        self.waiting += change
        self._changed.set()
        self._changed = asyncio.Event()
