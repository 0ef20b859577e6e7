"""How much of what comes a process takes up, so that its event loop keeps up with what it has taken.

Pure. A loop that is asked for more than it can do comes to each thing later and later, and what it took up is answered
when its caller has given up. What tells it is work that piles up: turns of the loop that work for long, again and
again. One long turn is a crowd that came at once, or a collection of garbage, and the next ones make up for it; a turn
that was long because a neighbour had the processor is not the loop's own doing.

The part of what comes that is let in shrinks by a tenth every 20 ms of it, and grows by a hundredth of all afterwards:
additive increase, multiplicative decrease, as TCP has it (RFC 5681, section 3.1). It does not shrink for work that came
with no requests, such as that of a process which starts, and whoever sends little is never refused. And no more is let
in between two looks at the loop than makes some tenths of a second of work, so that a sudden crowd is not seen too
late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from steersman.router.strain import TICK_SECONDS, Tick

_LONG_SECONDS: Final = 0.05
"""Work between two ticks, which are due after 20 ms, beyond which things wait."""
_SHRINK: Final = 0.9
_LEAST_SHRINK: Final = 0.5
"""What a tick leaves at least of the part, however long it was: the next one tells more."""
_GROW: Final = 0.01
_LEAST: Final = 0.01
_FEW: Final = 2
"""Requests between two ticks that are let in whatever there is to do, and make no turn long: a hundred a second."""
_MOST_AT_ONCE: Final = 512
"""Requests between two ticks; gRPC cancels all beyond as many that wait to be taken up."""


@dataclass(slots=True)
class Shedder:
    """Says of each request whether it is let in.

    Attributes:
        part: Of what comes, how much is.
    """

    part: float = 1.0
    _was_long: bool = False
    """Whether the last tick was."""
    _credit: float = 0.0
    """What has come together of the next request that is let in."""
    _new: int = 0
    """Requests let in since the last tick."""

    def tick(self, tick: Tick) -> None:
        """Take in what the loop did lately."""
        ticks, long = tick.wall / TICK_SECONDS, tick.worked > _LONG_SECONDS
        if long and self._was_long and self._new > _FEW:
            self.part = max(_LEAST, self.part * max(_LEAST_SHRINK, _SHRINK**ticks))
        elif not long:
            self.part = min(1.0, self.part + _GROW * ticks)
        self._was_long, self._new = long, 0

    def lets_in(self) -> bool:
        """Whether there is time for one more request; to be asked once for each."""
        if self._new >= _MOST_AT_ONCE:
            return False
        self._credit = min(1.0, self._credit + self.part)
        if self._new >= _FEW and self._credit < 1.0:
            return False
        self._credit = max(0.0, self._credit - 1.0)
        self._new += 1
        return True
