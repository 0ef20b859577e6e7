"""Remembers for a moment whom a tier has refused, so that who sends far too much is not passed on each time.

A refusal by a backend costs two hops; by this, a look into a table. The moment is shorter than anybody would notice
whose place has come free meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from steersman.runtime.errors import Overloaded

REMEMBERED_SECONDS: Final = 0.025
_MOST: Final = 1024


@dataclass(slots=True)
class Refusals:
    """The latest ones, by tier and tenant.

    Args:
        clock: Monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _latest: dict[tuple[str, str], tuple[float, Overloaded]] = field(default_factory=dict)

    def note(self, tier: str, tenant: str, error: Overloaded) -> None:
        """A tier is too full for this tenant."""
        now = self.clock()
        if len(self._latest) >= _MOST:
            self._latest = {key: kept for key, kept in self._latest.items() if _recent(kept[0], now)}
        if len(self._latest) < _MOST:
            self._latest[tier, tenant] = now, error

    def check(self, tier: str, tenant: str) -> None:
        """Let a request pass that need not be refused as the one before.

        Raises:
            Overloaded: It has to be.
        """
        at, error = self._latest.get((tier, tenant), (0.0, None))
        if error is None:
            return
        if _recent(at, self.clock()):
            raise Overloaded(
                error.message, reason=error.reason, retry_after_seconds=error.retry_after_seconds or 1.0
            )
        del self._latest[tier, tenant]


def _recent(at: float, now: float) -> bool:
    return now - at < REMEMBERED_SECONDS
