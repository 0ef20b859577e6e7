"""What is known of the routers: who is there, who is heard, and what they decided lately.

Silence is not zero: a router that cannot be heard keeps its last word for a while, and is known to be silent after
that, as long as its address is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from steersman.controller.model import Held, Report, TierShare, Uid
from steersman.controller.shares import Window, increase


@dataclass(frozen=True, slots=True)
class Rules:
    """For how long, in seconds, what has been heard is believed."""

    hold: float = 30.0
    """A router that cannot be heard keeps its last word."""
    window: float = 300.0
    """Shares are those of the decisions of the last while."""


@dataclass(frozen=True, slots=True)
class View:
    """The routers at one moment."""

    heard: Sequence[Report] = ()
    """The last word of each router that counts."""
    silent: int = 0
    """Routers that are there and do not count, since they have not been heard."""
    freshest_seconds: float = 0.0
    """Age of the newest word that counts."""
    oldest_seconds: float = 0.0
    """Age of the oldest."""

    @property
    def total(self) -> int:
        """Routers that there are."""
        return len(self.heard) + self.silent


class Routers:
    """All routers, from when somebody began to listen to them.

    Args:
        rules: How long things are believed.
        clock: Monotonic seconds.
    """

    def __init__(self, rules: Rules, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._clock = clock
        self._since = clock()
        self._window = Window(rules.window)
        self._replicas: dict[str, str | None] = {}
        """Who was heard last at each address where a router should be."""
        self._words: dict[str, _Word] = {}
        """The last word of each replica."""

    @property
    def addresses(self) -> list[str]:
        """Where routers should be."""
        return list(self._replicas)

    def found(self, addresses: Collection[str]) -> None:
        """These are the addresses of routers now, and no others."""
        self._replicas = {address: self._replicas.get(address) for address in addresses}
        longest = max(self._rules.hold, self._rules.window)
        for replica, word in list(self._words.items()):
            if replica not in self._replicas.values() and self._clock() - word.at > longest:
                del self._words[replica]

    def heard(self, address: str, report: Report) -> None:
        """The router at an address has reported; a word from where no router should be is passed over."""
        if address not in self._replicas:
            return
        now, before = self._clock(), self._words.get(report.replica)
        # A process that nobody knows has counted since nobody knows when, unless it took a known one's place.
        if before is not None or self._replicas[address] is not None:
            for uid, held in report.held.items():
                last = before.report.held.get(uid) if before is not None else None
                for decided in increase(last, held):
                    self._window.add((uid, held.version), decided, now)
        self._replicas[address] = report.replica
        self._words[report.replica] = _Word(report, now)

    def view(self) -> View:
        """The routers now; one that has several addresses counts once."""
        now = self._clock()
        known = {replica for replica in self._replicas.values() if replica is not None}
        words = [word for replica, word in self._words.items() if replica in known]
        fresh = [word for word in words if now - word.at <= self._rules.hold]
        ages = [now - word.at for word in fresh]
        unheard = sum(replica is None for replica in self._replicas.values())
        return View(
            heard=tuple(word.report for word in fresh),
            silent=len(words) - len(fresh) + unheard,
            freshest_seconds=min(ages, default=0.0),
            oldest_seconds=max(ages, default=0.0),
        )

    def shares(self, uid: Uid, held: Held) -> tuple[TierShare, ...] | None:
        """Shares of each tier lately; empty where nothing was decided.

        Returns:
            None where that is not known: nothing was seen, but no whole window has been watched either.
        """
        now = self._clock()
        shares = self._window.shares((uid, held.version), held, now)
        watched = now - self._since >= self._rules.window
        return shares if shares or watched else None


@dataclass(frozen=True, slots=True)
class _Word:
    report: Report
    at: float
