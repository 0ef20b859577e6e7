"""Who is next of those that wait: tenants take turns by their weights, and within a tenant it is the order of arrival.

Self-clocked fair queueing (Golestani 1994) over requests, which all count alike: a turn of a tenant is 1/weight after
its last one, or, where it did not wait, half of that after the one that was served last, whoever's that was: it goes
before those that always wait, and not before all others however often it comes. When there is no place left, the tenant
with the most places for its weight gives its last one to a tenant that has fewer. A request costs one look at each
tenant that waits, of which there are never more than places.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_FIRST: Final = 0.5


@dataclass(slots=True)
class _Line(Generic[T]):
    """What waits of one tenant; never empty."""

    tenant: str
    weight: float
    turn: float
    """When it is its turn, in the time of the turns."""
    waiting: deque[T] = field(default_factory=deque)

    @property
    def burden(self) -> float:
        """Its places, for its weight."""
        return len(self.waiting) / self.weight


@dataclass(slots=True)
class Turns(Generic[T]):
    """Those that wait.

    Args:
        places: How many may, of all tenants.
    """

    places: int
    _lines: dict[str, _Line[T]] = field(default_factory=dict)
    _count: int = 0
    _now: float = 0.0
    """The turn that was last."""

    def __len__(self) -> int:
        return self._count

    def add(self, item: T, tenant: str, weight: float) -> T | None:
        """Have a request wait.

        Args:
            item: The request.
            tenant: Whose.
            weight: Its tenant's, more than 0.

        Returns:
            Who has to go since there was no place, which may be the request itself; None where there was one.
        """
        gone = None if self._count < self.places else self._give_up(tenant, weight)
        if self._count >= self.places:
            return item
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = _Line(tenant, weight, self._now + _FIRST / weight)
        line.weight = weight
        line.waiting.append(item)
        self._count += 1
        return gone

    def pop(self) -> T:
        """Who is next, and waits no more.

        Raises:
            ValueError: Nobody waits.
        """
        line = min(self._lines.values(), key=attrgetter("turn"))
        self._now = line.turn
        line.turn += 1 / line.weight
        item = line.waiting.popleft()
        self._shorten(line)
        return item

    def leave(self, item: T, tenant: str) -> None:
        """A request does not wait any more, if it did."""
        line = self._lines.get(tenant)
        if line is not None and item in line.waiting:
            line.waiting.remove(item)
            self._shorten(line)

    def _give_up(self, tenant: str, weight: float) -> T | None:
        """The last one of the tenant with the most places, if that is fairer to a newcomer; it waits no more."""
        most = max(self._lines.values(), key=attrgetter("burden"), default=None)
        line = self._lines.get(tenant)
        places = (len(line.waiting) if line else 0) + 1
        if most is None or most is line or places / weight > (len(most.waiting) - 1) / most.weight:
            return None
        gone = most.waiting.pop()
        self._shorten(most)
        return gone

    def _shorten(self, line: _Line[T]) -> None:
        self._count -= 1
        if not line.waiting:
            del self._lines[line.tenant]
