"""The waiting room: where requests wait for a tier that has no address, until it has one.

There is one room for all tiers, bounded in requests and in bytes, because what it holds is this process's memory. Who
came first goes first. To a tier that has just woken only so many go at once for each address, so that a crowd that has
gathered for a minute does not fall upon the first pod.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import Error, Unavailable

PAUSE_SECONDS: Final = 0.25
"""Between two tries at a tier that is there and does not take a request yet."""
_COME_BACK_SECONDS: Final = 5.0
"""When a caller who could not wait may try again: a pod takes at least that long to start."""


class Outcome(Enum):
    """How a wait ended."""

    WOKEN = auto()
    """With the tier."""
    RAN_OUT = auto()
    """With the time that there was for it."""
    LEFT = auto()
    """With the caller, who left."""
    FULL = auto()
    """Before it began, because there was no room."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, and for how long.

    Args:
        requests: Requests at once.
        size: Bytes of their bodies.
        seconds: Longest wait of a request.
        at_once: Requests for each address that are on their way out of the room to a tier.
    """

    requests: int = 256
    size: int = 32 * 1024 * 1024
    seconds: float = 60.0
    at_once: int = 16


class WaitingRoom:
    """The room. Not for threads: all calls come from one event loop.

    Args:
        bounds: Of the room.
        on_end: Told the tier of each wait that has ended, how it ended, and its seconds.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        on_end: Callable[[str, Outcome, float], None] = lambda _tier, _outcome, _seconds: None,
    ) -> None:
        self.bounds = bounds
        self.requests = 0
        """Requests in the room now."""
        self.size = 0
        """Bytes of their bodies."""
        self._on_end = on_end
        self._doors: defaultdict[str, _Door] = defaultdict(_Door)
        self._numbers = itertools.count()
        self._closed = False

    def awaits(self, tier: str) -> bool:
        """Whether any request waits for this tier."""
        return tier in self._doors and bool(self._doors[tier].waiting)

    def found(self, tier: str, addresses: int) -> None:
        """A tier has so many addresses now: with the first one it is awake, with none it sleeps."""
        door = self._doors[tier]
        door.width = addresses * self.bounds.at_once
        door.let_through()

    def close(self) -> None:
        """Send everybody away and let nobody in: this process ends, and another one can be waited at."""
        self._closed = True
        for door in self._doors.values():
            door.send_away()

    @contextmanager
    def place(self, tier: str, *, size: int, seconds: float) -> Iterator[Place]:
        """A place in the room, as long as the context lasts.

        Args:
            tier: Which tier is waited for.
            size: Bytes of the request's body.
            seconds: How long it may wait; the room's own bound holds too.

        Raises:
            Unavailable: There is none, or the room is closed.
        """
        self._check(tier, size)
        self.requests += 1
        self.size += size
        place = Place(
            self._doors[tier], next(self._numbers), Deadline.after(min(seconds, self.bounds.seconds))
        )
        outcome = Outcome.LEFT
        try:
            yield place
            outcome = Outcome.WOKEN
        except Error:
            outcome = Outcome.WOKEN if place.has_turn else Outcome.RAN_OUT
            raise
        finally:
            self.requests -= 1
            self.size -= size
            place.step_aside()
            self._on_end(tier, outcome, place.waited)

    def _check(self, tier: str, size: int) -> None:
        if self._closed:
            raise _asleep()
        if self.requests >= self.bounds.requests or self.size + size > self.bounds.size:
            self._on_end(tier, Outcome.FULL, 0.0)
            raise Unavailable(
                "the tier has not started yet, and too many requests wait for it",
                reason="WAITING_ROOM_FULL",
                retry_after_seconds=_COME_BACK_SECONDS,
            )


class Place:
    """One request's place in the room.

    Args:
        door: The way to the tier that it waits for.
        number: How many came before.
        until: When its wait ends at the latest.
    """

    __slots__ = ("_door", "_entered_at", "_number", "_until", "has_turn", "waited")

    def __init__(self, door: _Door, number: int, until: Deadline) -> None:
        self._door = door
        self._number = number
        self._until = until
        self._entered_at = time.perf_counter()
        self.has_turn = False
        self.waited = 0.0
        """Seconds until it last had its turn or gave up."""

    async def turn(self) -> None:
        """Wait until the tier is awake and everybody who came before has gone.

        Raises:
            Unavailable: Its time has run out, or the room was closed.
        """
        called = self._door.queue(self._number)
        self.step_aside()  # only now, so that a turn given back to try again comes back at once
        try:
            async with asyncio.timeout(self._until.remaining):
                await called
        except TimeoutError:
            raise _asleep() from None
        finally:
            self.has_turn = self._door.leave(self._number, called)
            self.waited = time.perf_counter() - self._entered_at

    async def pause(self, error: Error) -> None:
        """Wait a moment, because the tier did not take the request; its turn stays its own, so that only few try.

        Raises:
            Error: What the tier said, when there is no time to try again.
        """
        if self._until.remaining <= PAUSE_SECONDS:
            self.step_aside()
            raise error
        await asyncio.sleep(PAUSE_SECONDS)

    def step_aside(self) -> None:
        """Let the next one have the turn."""
        if self.has_turn:
            self.has_turn = False
            self._door.passing -= 1
            self._door.let_through()


@dataclass(slots=True)
class _Door:
    """The way out of the room to one tier."""

    width: int = 0
    """Requests that may be on their way to the tier at once; 0 while it sleeps."""
    passing: int = 0
    waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict)

    def queue(self, number: int) -> asyncio.Future[None]:
        """Stand in line; the result is there when it is this one's turn."""
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[number] = called
        self.let_through()
        return called

    def let_through(self) -> None:
        """Call those whose turn it is."""
        while self.waiting and self.passing < self.width:
            called = self.waiting.pop(min(self.waiting))
            if not called.done():
                called.set_result(None)
                self.passing += 1

    def leave(self, number: int, called: asyncio.Future[None]) -> bool:
        """Leave the line, called or not; whether it has been called."""
        self.waiting.pop(number, None)
        return called.done() and not called.cancelled() and called.exception() is None

    def send_away(self) -> None:
        """End the wait of all."""
        for called in self.waiting.values():
            if not called.done():
                called.set_exception(_asleep())
        self.waiting.clear()


def _asleep() -> Unavailable:
    return Unavailable(
        "the tier has not started yet", reason="TIER_COLD", retry_after_seconds=_COME_BACK_SECONDS
    )
