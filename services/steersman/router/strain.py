"""Whether the event loop has too much to do: it works nearly all of the time, or comes late to what is due.

The first tells it before anybody waits for long; the second where a process does not get the processor that it wants.
Both are taken over some tenths of a second, since a collection of garbage or a neighbour's moment is no overload.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

TICK_SECONDS: Final = 0.02
MOST_BUSY: Final = 0.85
"""Part of the time that the loop may work."""
MOST_LATE_SECONDS: Final = 0.02
_NEW: Final = 0.1
"""What the latest tick counts for."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Some time that has passed.

    Attributes:
        wall: Seconds that it took; `TICK_SECONDS`, unless the loop came late to its end.
        worked: Seconds of them that the loop's thread had the processor.
    """

    wall: float
    worked: float


@dataclass(slots=True)
class Strain:
    """How much the loop has to do, lately."""

    busy: float = 0.0
    late: float = 0.0

    def note(self, tick: Tick) -> bool:
        """Take in one tick; whether it is too much."""
        self.busy += _NEW * (min(1.0, tick.worked / tick.wall) - self.busy)
        self.late += _NEW * (max(0.0, tick.wall - TICK_SECONDS) - self.late)
        return self.busy > MOST_BUSY or self.late > MOST_LATE_SECONDS


class OnTick(Protocol):
    """Is told how it is."""

    def __call__(self, *, strained: bool) -> None:
        """Some time has passed, at the end of which it was too much, or not."""


async def watch(on_tick: Callable[[Tick], None], on_strain: OnTick) -> None:
    """Tell every 20 ms what the loop had to do, and whether it is too much, for ever; for a background task."""
    strain = Strain()
    began, worked = time.monotonic(), time.thread_time()  # the loop's own time stands still within a turn
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now, working = time.monotonic(), time.thread_time()
        tick = Tick(wall=now - began, worked=working - worked)
        on_tick(tick)
        on_strain(strained=strain.note(tick))
        began, worked = now, working
