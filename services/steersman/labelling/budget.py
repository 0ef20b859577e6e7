"""Money: what has been spent, what is being spent, and the most that may be.

A call is let go only when its greatest possible cost still fits beside those under way, so that a limit holds however
many calls there are at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Exhausted(Exception):
    """The next call could cost more than is left."""


class Budget:
    """US dollars.

    Args:
        spent: Before now.
        most: Limit on all that is spent, before and from now on; None for none.
    """

    def __init__(self, *, spent: float = 0.0, most: float | None = None) -> None:
        self.spent = spent
        self._most = most
        self._reserved: list[float] = []
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def reserved(self, usd: float) -> AsyncGenerator[None, None]:
        """Keep an amount aside for a call, once it fits.

        Raises:
            Exhausted: It does not fit, though no other call is under way that could turn out cheaper.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(usd) or not self._reserved)
            if not self._fits(usd):
                raise Exhausted
            self._reserved.append(usd)
        try:
            yield
        finally:
            async with self._changed:
                self._reserved.remove(usd)
                self._changed.notify_all()

    def pay(self, usd: float) -> None:
        """Count what a call has cost."""
        self.spent += usd

    def _fits(self, usd: float) -> bool:
        return self._most is None or self.spent + sum(self._reserved) + usd <= self._most
