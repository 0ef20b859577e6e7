"""What callers were answered: counted, and told to whoever asks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

LATENCIES: Final = 200_000
"""Latencies that are kept; of a longer run the first ones."""
FAILURES: Final = 100
"""Failures that are kept with their text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        tier: Who answered.
        reason: Why that one.
        cache: Where the classifier's output came from.
    """

    tier: str
    reason: str
    cache: str


class Unfit(Exception):
    """What came is no answer: it is empty, or ends too early."""


@dataclass(slots=True)
class Tally:
    """Counts answers and failures."""

    began: float = field(default_factory=time.time)
    ended: bool = False
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)

    def took(self, method: str, answer: Answer, seconds: float) -> None:
        """Count an answer."""
        self.answered[f"{method} {answer.tier} {answer.reason} {answer.cache}"] += 1
        if len(self._seconds) < LATENCIES:
            self._seconds.append(seconds)

    def lost(self, method: str, error: BaseException, seconds: float) -> None:
        """Count a failure."""
        self.failed[method] += 1
        if len(self.failures) < FAILURES:
            said = f"{type(error).__name__}: {error}"[:2000]
            self.failures.append(f"{said} ({method}, after {seconds:.1f} s)")

    def told(self) -> dict[str, object]:
        """All of it, latencies in seconds, for a JSON encoder."""
        ordered = sorted(self._seconds) or [0.0]
        shares = {"p50": 0.5, "p99": 0.99, "longest": 1.0}
        return {
            "asked": self.began,
            "ended": self.ended,
            "answered": self.answered,
            "failed": self.failed,
            "failures": self.failures,
            "latency": {
                name: round(ordered[int(share * (len(ordered) - 1))], 4) for name, share in shares.items()
            },
        }
