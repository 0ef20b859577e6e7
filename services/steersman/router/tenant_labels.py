"""Which tenants have a name of their own in the metrics: the largest ones, so that their number is bounded.

The first tenants that come get one, until there are no more. Who is left out is counted together as `other`. Once a
period, who was left out and had more than twice the requests of the smallest one that has a name takes its place: often
enough to be right within the hour, and seldom enough for graphs to make sense.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

OTHER: Final = "other"
"""All tenants without a name of their own together."""

PERIOD_SECONDS: Final = 600.0
_MOST_COUNTED: Final = 10_000
"""Tenants whose requests are counted in a period; of more, those that come later in it are not."""
_CLEARLY: Final = 2
"""How many times as many requests it takes to displace another."""


@dataclass(slots=True)
class TenantLabels:
    """Names tenants in the metrics of this process.

    Args:
        most: How many have a name of their own.
        on_retired: Told each name that is one no more; its series end.
        clock: Seconds.
    """

    most: int
    on_retired: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _named: set[str] = field(default_factory=set)
    _requests: Counter[str] = field(default_factory=Counter)
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends = self.clock() + PERIOD_SECONDS

    def of(self, tenant: str) -> str:
        """The name of a tenant that makes a request."""
        if self.clock() >= self._ends:
            self._review()
        if tenant in self._requests or len(self._requests) < _MOST_COUNTED:
            self._requests[tenant] += 1
        if tenant in self._named:
            return tenant
        if len(self._named) < self.most:
            self._named.add(tenant)
            return tenant
        return OTHER

    def _review(self) -> None:
        """Let the largest of those without a name take the places of the smallest with one."""
        outside = [each for each in self._requests.most_common() if each[0] not in self._named]
        inside = sorted(self._named, key=lambda name: (self._requests[name], name))
        for (newcomer, requests), smallest in zip(outside, inside, strict=False):
            if requests <= _CLEARLY * self._requests[smallest]:
                break
            self._named.remove(smallest)
            self._named.add(newcomer)
            self.on_retired(smallest)
        self._requests.clear()
        self._ends = self.clock() + PERIOD_SECONDS
