"""Whose requests are let in when there are too many: every tenant has its share, by its weight, of what there is.

Pure. There are two things to share. **Slots** are the requests that a router has in progress. While an eighth of them
is free, everybody is let in; that eighth is for tenants that have less than their share, so that whoever has more
gives way as its requests end. **Time** is what the event loop has. When that has too much to do (`strain.py`), of what
a tenant sends beyond its share only a part is let in, which shrinks as long as it is too much and grows afterwards.

Shares are among the tenants that have been there in the last seconds: one that is alone has all. Each request costs a
few additions, whether it is let in or not, and however many there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from steersman.runtime.errors import Overloaded

ROUTER_FULL: Final = "ROUTER_FULL"
_FREE: Final = 1 / 8
"""Part of the slots that is kept for tenants with less than their share."""
_SLACK: Final = 1.25
"""So much of its share of the time may a tenant have before it counts as beyond it: requests come unevenly."""
_LITTLE: Final = 32.0
"""Work of a tenant that sends about fifty requests a second; who sends less is not what there is too much of."""
_SHRINK: Final = 0.9
_GROW: Final = 0.02
_LEAST_PART: Final = 0.01
_FADE: Final = 0.97
"""What is left of a tenant's past after a tick; with ticks of 20 ms half of it is half a second old."""
_FORGOTTEN: Final = 0.05


@dataclass(slots=True)
class _Standing:
    """How a tenant stands."""

    weight: float
    running: int = 0
    work: float = 0.0
    """Requests let in, those of some time ago counted less."""
    credit: float = 0.0
    """Of what it sends beyond its share, what has come together of the next one that is let in."""


@dataclass(slots=True)
class FairShares:
    """Shares slots and time.

    Args:
        slots: Requests in progress at once.
    """

    slots: int
    running: int = 0
    part: float = 1.0
    """Of what is sent beyond a share, how much is let in."""
    _work: float = 0.0
    _weights: float = 0.0
    _standings: dict[str, _Standing] = field(default_factory=dict)

    def has_room(self, tenant: str, weight: float) -> bool:
        """Whether a slot is free for a tenant."""
        if self.running >= self.slots:
            return False
        if self.running < math.ceil(self.slots * (1 - _FREE)):
            return True
        standing = self._standings.get(tenant)
        return (standing.running if standing else 0) < self.slots * self._share(standing, weight)

    def has_time(self, tenant: str, weight: float) -> bool:
        """Whether there is time for a request; to be asked once for each, and early."""
        if self.part >= 1.0:
            return True
        standing = self._standings.get(tenant)
        if standing is None or standing.work <= max(
            _LITTLE, self._work * _SLACK * self._share(standing, weight)
        ):
            return True
        standing.credit += self.part
        if standing.credit < 1.0:
            return False
        standing.credit -= 1.0
        return True

    @contextmanager
    def entered(self, tenant: str, weight: float, *, work: float = 1.0) -> Iterator[None]:
        """A request is in progress as long as the context lasts.

        Args:
            tenant: Whose.
            weight: The tenant's.
            work: How much it counts for; 0 for one that is entered once more.
        """
        standing = self._standing(tenant, weight)
        standing.running += 1
        standing.work += work
        self.running += 1
        self._work += work
        try:
            yield
        finally:
            standing.running -= 1
            self.running -= 1

    def tick(self, *, strained: bool) -> None:
        """Some time has passed, at the end of which the loop has too much to do, or not."""
        self.part = max(_LEAST_PART, self.part * _SHRINK) if strained else min(1.0, self.part + _GROW)
        for tenant, standing in list(self._standings.items()):
            standing.work *= _FADE
            if standing.work < _FORGOTTEN and not standing.running:
                del self._standings[tenant]
        self._work = sum(each.work for each in self._standings.values())
        self._weights = sum(each.weight for each in self._standings.values())

    def _standing(self, tenant: str, weight: float) -> _Standing:
        found = self._standings.get(tenant)
        if found is None:
            found = self._standings[tenant] = _Standing(0.0)
        self._weights += weight - found.weight
        found.weight = weight
        return found

    def _share(self, standing: _Standing | None, weight: float) -> float:
        others = self._weights - (standing.weight if standing else 0.0)
        return weight / (others + weight)


def full() -> Overloaded:
    """The error for a request that is not let in."""
    return Overloaded("this router has too many requests in progress", reason=ROUTER_FULL)
