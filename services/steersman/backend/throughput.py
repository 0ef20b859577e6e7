"""Tokens a second over the last seconds, in constant space."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

WINDOW_SECONDS: Final = 10


class Throughput:
    """Counts what happens, and forgets it after `WINDOW_SECONDS`.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts = [0] * WINDOW_SECONDS
        self._seconds = [-WINDOW_SECONDS] * WINDOW_SECONDS

    def add(self, count: int) -> None:
        """Count what happened now; a negative number corrects what was counted too much."""
        second = int(self._clock())
        place = second % WINDOW_SECONDS
        if self._seconds[place] != second:
            self._seconds[place], self._counts[place] = second, 0
        self._counts[place] += count

    def per_second(self) -> float:
        """The mean over the window, the second that is under way included."""
        oldest = int(self._clock()) - WINDOW_SECONDS
        recent = sum(
            count for second, count in zip(self._seconds, self._counts, strict=True) if second > oldest
        )
        return max(recent, 0) / WINDOW_SECONDS
