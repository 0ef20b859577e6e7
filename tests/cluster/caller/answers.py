"""What callers were answered, as lines of JSON: one a second with counts, one for each failure, one at the end."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

LATENCIES = 200_000
"""Latencies that are kept; of a longer run the first ones."""


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
    """Counts answers and failures, and tells them."""

    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    _second: Counter[str] = field(default_factory=Counter)
    _seconds: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Tell that the first questions are asked now."""
        _tell(asking=True)

    def took(self, api: str, answer: Answer, seconds: float) -> None:
        """Count an answer."""
        name = f"{api} {answer.tier} {answer.reason} {answer.cache}"
        self.answered[name] += 1
        self._second[name] += 1
        if len(self._seconds) < LATENCIES:
            self._seconds.append(seconds)

    def lost(self, api: str, error: BaseException, seconds: float) -> None:
        """Count a failure and tell it at once."""
        self.failed[api] += 1
        _tell(failure=f"{type(error).__name__}: {error}"[:2000], api=api, took=round(seconds, 3))

    def tick(self) -> None:
        """Tell what was answered since the last time."""
        _tell(answered=dict(self._second))
        self._second.clear()

    def end(self) -> None:
        """Tell the sums, and latencies in seconds."""
        self.tick()
        ordered = sorted(self._seconds) or [0.0]
        latency = {share: round(ordered[int(share * (len(ordered) - 1))], 4) for share in (0.5, 0.99, 1.0)}
        _tell(ended=True, total=dict(self.answered), failed=dict(self.failed), latency=latency)


def _tell(**fields: object) -> None:
    sys.stdout.write(json.dumps({"at": round(time.time(), 3), **fields}) + "\n")
    sys.stdout.flush()
