"""When what failed may be tried again, for each thing by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from steersman.runtime.backoff import Backoff


@dataclass(slots=True)
class Retries:
    """Ever longer pauses after failures.

    Args:
        shortest: Of the first pause, in seconds.
        longest: Of any.
        clock: Monotonic seconds.
    """

    shortest: float
    longest: float
    clock: Callable[[], float] = time.monotonic
    _pauses: dict[str, _Pause] = field(default_factory=dict)

    def allows(self, key: str) -> bool:
        """Whether a thing may be tried now."""
        return key not in self._pauses or self.clock() >= self._pauses[key].ends_at

    def failed(self, key: str) -> None:
        """It has been tried, and did not succeed."""
        pause = self._pauses.setdefault(key, _Pause(Backoff(self.shortest, self.longest)))
        pause.ends_at = self.clock() + pause.backoff.next()

    def succeeded(self, key: str) -> None:
        """It has been tried, and did."""
        self._pauses.pop(key, None)

    def keep(self, keys: Collection[str]) -> None:
        """Forget everything but these."""
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in keys}


@dataclass(slots=True)
class _Pause:
    backoff: Backoff
    ends_at: float = 0.0
