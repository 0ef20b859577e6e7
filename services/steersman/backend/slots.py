"""The bounded queue in front of an engine: so many requests run, so many wait, in turns, and one more is refused.

What is refused is told when to come back, from how long answers took lately: one slot becomes free every
(mean time of an answer / slots) seconds.
"""

from __future__ import annotations

import asyncio
from typing import Final

from steersman.backend.turns import Turns
from steersman.runtime.errors import Overloaded

QUEUE_FULL: Final = "QUEUE_FULL"
"""Reason of the error when as many wait as may."""
QUEUE_TIMEOUT: Final = "QUEUE_TIMEOUT"
"""Reason of the error when one waited as long as it may."""

_WEIGHT_OF_LATEST: Final = 0.1
_LEAST_RETRY_SECONDS: Final = 0.1
_MOST_RETRY_SECONDS: Final = 60.0


class Slots:
    """Slots of an engine, and who waits for one. All calls come from one event loop.

    Args:
        slots: Requests that may run at once.
        length: Requests that may wait.
    """

    def __init__(self, *, slots: int, length: int) -> None:
        self._slots = slots
        self._running = 0
        self._waiting: Turns[asyncio.Future[None]] = Turns(length)
        self._mean_seconds = 1.0
        self._measured = False

    @property
    def total(self) -> int:
        """Requests that may run at once."""
        return self._slots

    @property
    def running(self) -> int:
        """Requests that have a slot."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that wait for one."""
        return len(self._waiting)

    def resize(self, slots: int) -> None:
        """Change how many may run; where that is fewer than do, these finish first."""
        self._slots = slots
        self._hand_out()

    async def acquire(self, *, patience: float, tenant: str = "", weight: float = 1.0) -> None:
        """Take a slot in one's turn; each must be given back with `release`.

        Args:
            patience: Seconds to wait at most.
            tenant: Who asks; tenants take turns.
            weight: Of its turns, more than 0.

        Raises:
            Overloaded: As many wait as may, none of them for a tenant with more places than this one, or patience ran
                out, or the place was needed for a tenant that had fewer.
        """
        if self._running < self._slots and not self._waiting:
            self._running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        gone = self._waiting.add(turn, tenant, weight)
        if gone is turn:
            raise self._full()
        if gone is not None and not gone.done():
            gone.set_exception(self._full())
        try:
            async with asyncio.timeout(patience):
                await turn
        except TimeoutError as error:
            self._leave(turn, tenant)
            raise self._refusal(
                "no slot became free in time", QUEUE_TIMEOUT, ahead=self.waiting + 1
            ) from error
        except asyncio.CancelledError:
            self._leave(turn, tenant)
            raise

    def release(self, *, seconds: float | None) -> None:
        """Give a slot back.

        Args:
            seconds: How long a complete answer took; None for one that tells nothing, since it failed or was left.
        """
        self._running -= 1
        self._hand_out()
        if seconds is None:
            return
        weight = _WEIGHT_OF_LATEST if self._measured else 1.0
        self._mean_seconds += weight * (seconds - self._mean_seconds)
        self._measured = True

    def _hand_out(self) -> None:
        while self._waiting and self._running < self._slots:
            turn = self._waiting.pop()
            if not turn.done():
                self._running += 1
                turn.set_result(None)

    def _leave(self, turn: asyncio.Future[None], tenant: str) -> None:
        """Free the place of one that waits no longer, or the slot that it was handed at the last moment."""
        if turn.done() and not turn.cancelled():
            if turn.exception() is None:
                self.release(seconds=None)
        else:
            self._waiting.leave(turn, tenant)

    def _full(self) -> Overloaded:
        return self._refusal("the queue is full", QUEUE_FULL, ahead=1)

    def _refusal(self, message: str, reason: str, *, ahead: int) -> Overloaded:
        seconds = ahead * self._mean_seconds / self._slots
        bounded = min(max(seconds, _LEAST_RETRY_SECONDS), _MOST_RETRY_SECONDS)
        return Overloaded(message, reason=reason, retry_after_seconds=bounded)
