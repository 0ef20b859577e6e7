"""A budget for retries, so that a brown-out does not become an outage.

Each request earns a part of a retry, and a small number a second is free, for when there is little traffic; a retry
that the budget does not hold is not made. The scheme is that of Finagle and Linkerd.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class RetryBudget:
    """A token bucket that requests fill.

    Args:
        ratio: Retries that a request earns.
        per_second: Retries that are free each second.
        cap: Most retries that can be saved up.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        per_second: float = 3.0,
        cap: float = 100.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._per_second = per_second
        self._cap = cap
        self._clock = clock
        self._tokens = per_second
        self._filled_at = clock()

    def earn(self) -> None:
        """A request has come."""
        self._tokens = min(self._cap, self._tokens + self._ratio)

    def spend(self) -> bool:
        """Whether one retry may be made; if so it is paid."""
        now = self._clock()
        self._tokens = min(self._cap, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
