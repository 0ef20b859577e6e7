"""What is known for a while: a bounded map whose entries end.

In the path of every request, where a general cache's bookkeeping costs more than all that is done with what it holds.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Expiring(Generic[K, V]):
    """Values by key; those that nobody has asked for the longest make room for new ones.

    Args:
        entries: Most of them.
        ttl_seconds: How long one is known, from when it was put.
        clock: Monotonic seconds.
    """

    def __init__(
        self, entries: int, ttl_seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries = entries
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._known: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: K) -> V | None:
        """What is known under a key; None where nothing is, or not any more."""
        found = self._known.get(key)
        if found is None:
            return None
        value, ends = found
        if ends <= self._clock():
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return value

    def left(self, key: K) -> float:
        """Seconds that a key's value is known from now on; 0 where nothing is. Does not count as asking for it."""
        found = self._known.get(key)
        return 0.0 if found is None else max(0.0, found[1] - self._clock())

    def put(self, key: K, value: V) -> None:
        """Know a value from now on."""
        self._known[key] = value, self._clock() + self._ttl_seconds
        self._known.move_to_end(key)
        if len(self._known) > self._entries:
            self._known.popitem(last=False)
