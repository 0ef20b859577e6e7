"""The time that a request has left, shrinking as it travels."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Self

UNREAD_SECONDS: Final = 30.0
"""How long a caller may leave unread what it is sent; after that it counts as gone."""
EARLY: Final = 0.002
"""How early a timer may fire, in seconds: event loops count in whole milliseconds, and round."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time, in seconds of the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left; also true for who was woken by a timer that was set to it."""
        return self.at <= time.monotonic() + EARLY
