"""A circuit breaker: stops asking what does not answer, and tries again on its own.

Closed until `threshold` failures in a row; then open for `cooldown` seconds; then half-open, where one caller at a
time may try, and its outcome closes or reopens it. The state machine is Nygard's (Release It!, 2nd ed., chapter 5).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum


class State(Enum):
    """Where a breaker stands; the value is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """One breaker. Not for threads: all calls come from one event loop.

    Args:
        threshold: Failures in a row that open it.
        cooldown: Seconds that it stays open.
        clock: Monotonic seconds.
    """

    def __init__(
        self, *, threshold: int, cooldown: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold = threshold
        self._cooldown = cooldown
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._probe_started: float | None = None

    @property
    def state(self) -> State:
        """Where the breaker stands now."""
        if self._opened_at is None:
            return State.CLOSED
        cooled = self._clock() - self._opened_at >= self._cooldown
        return State.HALF_OPEN if cooled else State.OPEN

    @property
    def ready(self) -> bool:
        """Whether `allow` would say yes; asking changes nothing."""
        state = self.state
        return state is State.CLOSED or (state is State.HALF_OPEN and not self._probing())

    def allow(self) -> bool:
        """Whether to try now. Each yes must be followed by `success`, `failure` or `cancel`."""
        if self._opened_at is None:
            return True
        if not self.ready:
            return False
        self._probe_started = self._clock()
        return True

    def success(self) -> None:
        """What was tried worked."""
        self._failures = 0
        self._opened_at = None
        self._probe_started = None

    def failure(self) -> None:
        """What was tried failed."""
        self._failures += 1
        if self._opened_at is not None or self._failures >= self._threshold:
            self._opened_at = self._clock()
        self._probe_started = None

    def cancel(self) -> None:
        """What was tried was given up before it told anything."""
        self._probe_started = None

    def _probing(self) -> bool:
        """Whether a probe is out; one that never reported does not block the breaker for ever."""
        return self._probe_started is not None and self._clock() - self._probe_started < self._cooldown
