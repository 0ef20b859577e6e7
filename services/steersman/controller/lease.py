"""Who of several replicas leads: the rules of a Lease, without Kubernetes.

The rules are those of client-go's leader election: whoever writes its name into the Lease leads, and renews it; who
sees the same Lease for as long as it lasts may take it. Only the own clock counts, never the times that others wrote:
clocks need not agree. A leader stops well before anybody else may begin, and counts from before it asked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last, in seconds: `retry` < `deadline` < `duration`."""

    duration: int = 12
    """A Lease that has not been renewed for so long may be taken; whole seconds, since that is what a Lease says."""
    deadline: float = 8.0
    """A leader that could not renew for so long stops."""
    retry: float = 2.0
    """Between two looks at the Lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a Lease says."""

    holder: str
    """Who leads; empty when it was given back."""
    duration: int
    """Seconds that it lasts after each renewal."""
    acquired_at: datetime
    renewed_at: datetime
    transitions: int = 0
    """How often it went from one holder to another."""
    version: str = ""
    """Of the stored Lease; a write that names an old one is refused. Empty where it has not been stored yet."""


class Candidate:
    """One replica's part in an election. Asks nobody: it is told what the Lease says, and tells what to write.

    Args:
        identity: Its name in the Lease; no other process may ever have the same.
        terms: How long things last.
        clock: Monotonic seconds.
        now: The time of day, for people who read the Lease.
    """

    def __init__(
        self,
        identity: str,
        terms: Terms,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.identity = identity
        self._terms = terms
        self._clock = clock
        self._now = now
        self._seen: Lease | None = None
        self._seen_since = -math.inf
        self._leads_until = -math.inf
        self._asked_at = -math.inf

    @property
    def leads_for(self) -> float:
        """Seconds that it leads from now on, without another renewal; 0 where it does not lead."""
        return max(0.0, self._leads_until - self._clock())

    @property
    def held(self) -> Lease | None:
        """The Lease, where this candidate wrote it last, as far as is known."""
        return self._seen if self._seen is not None and self._seen.holder == self.identity else None

    def wanted(self, seen: Lease | None) -> Lease | None:
        """What to write now, or None to leave the Lease as it is. Of a write that succeeded, `won` wants to know.

        Args:
            seen: The Lease; None where there is none.
        """
        self._see(seen)
        self._asked_at, now = self._clock(), self._now()
        if seen is None:
            return Lease(self.identity, self._terms.duration, now, now)
        if seen.holder == self.identity:
            return replace(seen, renewed_at=now, duration=self._terms.duration)
        if seen.holder and not self._expired(seen):
            return None
        return Lease(self.identity, self._terms.duration, now, now, seen.transitions + 1, seen.version)

    def won(self, stored: Lease) -> None:
        """What was wanted has been written.

        Args:
            stored: The Lease as it is stored now. It holds from when the write was begun: whoever else sees it sees it
                later than that, and waits for longer.
        """
        self._see(stored)
        self._leads_until = self._asked_at + self._terms.deadline

    def resign(self, seen: Lease | None) -> Lease | None:
        """Lead no more.

        Args:
            seen: The Lease; None where there is none.

        Returns:
            What to write so that another may lead at once, or None where there is nothing to give back.
        """
        self._leads_until = -math.inf
        if seen is None or seen.holder != self.identity:
            return None
        return replace(seen, holder="", duration=1, renewed_at=self._now())

    def _see(self, lease: Lease | None) -> None:
        if lease is None or self._seen is None or _signed(lease) != _signed(self._seen):
            self._seen_since = self._clock()
        self._seen = lease
        if lease is not None and lease.holder != self.identity:
            self._leads_until = -math.inf

    def _expired(self, lease: Lease) -> bool:
        return self._clock() - self._seen_since >= lease.duration


def _signed(lease: Lease) -> tuple[str, datetime]:
    """What changes whenever somebody renews or takes it; its version changes with any label too."""
    return lease.holder, lease.renewed_at
