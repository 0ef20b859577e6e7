"""How much work callers want done, counted where it is known first.

Demand counts by the tier that was wanted: work that was shed, timed out or answered by another tier still counts for
the one that should have had it, or that tier would never grow.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(slots=True)
class Gauge:
    """Demand for one thing."""

    waiting: int = 0
    running: int = 0
    unmet_total: int = 0


class Demand:
    """All demand that one router replica sees."""

    def __init__(self) -> None:
        self.router = Gauge()
        self.classifier = Gauge()
        self.tiers: defaultdict[str, Gauge] = defaultdict(Gauge)
        self.version = 0
        """Rises with every change."""

    def of_router(self) -> Want:
        """A request that is in this router."""
        return Want(self, self.router)

    def never_came_in(self, count: int) -> None:
        """So many requests were cancelled before this router took them up."""
        self.router.unmet_total += count
        self.version += 1

    def of_classifier(self) -> Want:
        """A call to the classifier."""
        return Want(self, self.classifier)

    def of_tier(self, name: str) -> Want:
        """A request that wants a tier."""
        return Want(self, self.tiers[name])


class Want:
    """One piece of work that is wanted, as long as the context lasts: waiting until it is said to run."""

    __slots__ = ("_demand", "_gauge", "_running")

    def __init__(self, demand: Demand, gauge: Gauge) -> None:
        self._demand = demand
        self._gauge = gauge
        self._running = False

    def __enter__(self) -> Self:
        self._gauge.waiting += 1
        self._demand.version += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running:
            self._gauge.running -= 1
        else:
            self._gauge.waiting -= 1
        self._demand.version += 1

    def runs(self) -> None:
        """It has begun."""
        self._gauge.waiting -= 1
        self._gauge.running += 1
        self._running = True
        self._demand.version += 1

    def unmet(self) -> None:
        """It was not done where it was wanted."""
        self._gauge.unmet_total += 1
        self._demand.version += 1
