"""How long to wait before the next attempt: ever longer, up to a bound, and never in step with others."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Pauses between attempts; each at least half, and at most all, of a bound that doubles.

    Args:
        shortest: Bound of the first pause, in seconds.
        longest: Bound that is never exceeded.
        between: Draws a number between two; random unless a test says otherwise.
    """

    shortest: float
    longest: float
    between: Callable[[float, float], float] = random.uniform
    _bound: float = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def next(self) -> float:
        """Seconds to wait now."""
        bound, self._bound = self._bound, min(self._bound * 2, self.longest)
        return self.between(bound / 2, bound)

    def reset(self) -> None:
        """Begin anew with the shortest pause, because something worked."""
        self._bound = min(self.shortest, self.longest)
