"""Adds up what the routers report, and knows when the sum is not to be trusted.

Silence is not zero. A router that cannot be heard keeps its last word for a while; with no router heard at all there is
no sum; and after a time without one, when this process has just started too, there is none until every router has been
heard or has had the time to be. A part of the demand would look like little demand, and scale in.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from steersman.runtime.errors import Unavailable
from steersman.scaler.model import Audience, Counts, Part, Report, Sums

_NOTHING: Final = Counts()


@dataclass(frozen=True, slots=True)
class Rules:
    """For how long, in seconds, what has been heard is believed."""

    hold: float = 60.0
    """A router that cannot be heard keeps its last word."""
    unmet: float = 20.0
    """A request that was not met counts as one that is there."""
    settle: float = 5.0
    """Routers that have not been heard yet are waited for, once the first one has been."""


class Demand:
    """Demand over all routers.

    Args:
        rules: How long things are believed.
        clock: Monotonic seconds.
    """

    def __init__(self, rules: Rules, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._clock = clock
        self._routers: dict[str, _Router] = {}
        self._woke_at = -math.inf
        """When a router was last heard after none had been."""

    def found(self, addresses: Collection[str]) -> None:
        """These are the addresses of routers now, and no others."""
        for address in addresses:
            self._routers.setdefault(address, _Router())
        for address, router in list(self._routers.items()):
            router.listed = address in addresses
            self._forget_if_gone(address, router)

    def expects(self, address: str) -> bool:
        """Whether there should be a router at an address."""
        return address in self._routers and self._routers[address].listed

    def heard(self, address: str, report: Report) -> None:
        """A router has reported."""
        now = self._clock()
        if not self._counting(now):
            self._woke_at = now
        self._routers.setdefault(address, _Router()).hear(report, now, self._rules)

    def lost(self, address: str) -> None:
        """A router's stream has ended, one way or another."""
        if (router := self._routers.get(address)) is not None:
            router.connected = False
            self._forget_if_gone(address, router)

    def of(self, part: Part) -> Sums:
        """Demand for a part.

        Raises:
            Unavailable: It is not known.
        """
        now = self._clock()
        knowing = [router for router in self._trusted(now) if part in router.demand]
        if not knowing:
            raise Unavailable(f"no router knows {part[:80]!r}", reason="PART_UNKNOWN")
        return _sum(part, knowing, now)

    def sums(self) -> Mapping[Part, Sums]:
        """Demand for all parts that routers know.

        Raises:
            Unavailable: It is not known.
        """
        now = self._clock()
        trusted = self._trusted(now)
        return {
            part: _sum(part, trusted, now) for part in {part for router in trusted for part in router.demand}
        }

    def audience(self) -> Audience:
        """How many routers are listened to, and how well."""
        now = self._clock()
        counting = self._counting(now)
        heard = sum(router.connected for router in counting)
        oldest = max((now - router.heard_at for router in counting), default=0.0)
        return Audience(heard, len(counting) - heard, self._unheard(now), oldest)

    def _trusted(self, now: float) -> list[_Router]:
        counting = self._counting(now)
        if not counting:
            raise Unavailable(
                f"no router has been heard in the last {self._rules.hold:g} s", reason="NO_ROUTER_HEARD"
            )
        if now - self._woke_at < self._rules.settle and self._unheard(now):
            raise Unavailable("some routers have not been heard yet", reason="ROUTERS_NOT_HEARD_YET")
        return counting

    def _counting(self, now: float) -> list[_Router]:
        """The routers whose word counts; one that has several addresses counts once."""
        fresh = [router for router in self._routers.values() if router.fresh(now, self._rules)]
        fresh.sort(key=lambda router: router.heard_at)
        return list({router.replica: router for router in fresh}.values())

    def _unheard(self, now: float) -> int:
        return sum(router.listed and not router.fresh(now, self._rules) for router in self._routers.values())

    def _forget_if_gone(self, address: str, router: _Router) -> None:
        """A router that left takes its demand along: others have it now."""
        if not router.listed and not router.connected:
            del self._routers[address]


@dataclass(slots=True)
class _Router:
    """What is known of the router at one address."""

    listed: bool = False
    connected: bool = False
    replica: str = ""
    demand: Mapping[Part, Counts] = field(default_factory=dict)
    heard_at: float = -math.inf
    unmet: defaultdict[Part, _Recently] = field(default_factory=lambda: defaultdict(_Recently))

    def fresh(self, now: float, rules: Rules) -> bool:
        """Whether its last word still counts."""
        return now - self.heard_at <= rules.hold

    def hear(self, report: Report, now: float, rules: Rules) -> None:
        """Take its word; what a process did not meet before it was first heard is none of today's demand."""
        if report.replica == self.replica and self.fresh(now, rules):
            for part, counts in report.demand.items():
                more = counts.unmet_total - self.demand.get(part, _NOTHING).unmet_total
                self.unmet[part].add(more, now, rules.unmet)
        self.connected = True
        self.replica, self.demand, self.heard_at = report.replica, report.demand, now


@dataclass(slots=True)
class _Recently:
    """A number of events of the last seconds, by the second in which each is forgotten."""

    until: dict[int, int] = field(default_factory=dict)

    def add(self, number: int, now: float, seconds: float) -> None:
        """Remember events for that long, to the next whole second."""
        if number > 0:
            self.until = {second: count for second, count in self.until.items() if second > now}
            second = math.ceil(now + seconds)
            self.until[second] = self.until.get(second, 0) + number

    def at(self, now: float) -> int:
        """How many are remembered."""
        return sum(number for second, number in self.until.items() if second > now)


def _sum(part: Part, routers: Collection[_Router], now: float) -> Sums:
    counts = [router.demand.get(part, _NOTHING) for router in routers]
    return Sums(
        waiting=sum(each.waiting for each in counts),
        running=sum(each.running for each in counts),
        unmet=sum(router.unmet[part].at(now) for router in routers if part in router.unmet),
    )
