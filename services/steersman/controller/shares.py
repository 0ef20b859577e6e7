"""What routers decided lately, from counts that only rise and begin anew with each process.

A count says what happened since a time that nobody knows. So the first count of a process that nobody knew is where
counting begins; that of a process which took a known one's place has all happened since.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from steersman.controller.model import Decisions, Held, TierShare, Uid

Policy = tuple[Uid, str]
"""One version of one resource's policy: shares are told of what is in force, not of what was."""

_SLOTS: Final = 60
"""Parts of a window; what is older than it is forgotten part by part."""


def increase(before: Held | None, after: Held) -> Iterator[Decisions]:
    """What was decided for each tier between two words of one process.

    Args:
        before: Another version, or none, has counted nothing of this one.
        after: The later word.
    """
    same = before is not None and before.version == after.version
    counted = {each.tier: each for each in before.decisions} if before is not None and same else {}
    for each in after.decisions:
        last = counted.get(each.tier, Decisions(each.tier))
        # Less than before means that the version was away in between; how much was counted anew is not worth a guess.
        yield Decisions(each.tier, max(0, each.wanted - last.wanted), max(0, each.answered - last.answered))


class Window:
    """Decisions of the last while, over all routers.

    Args:
        seconds: How long that is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slots: deque[_Slot] = deque()

    def add(self, policy: Policy, decided: Decisions, now: float) -> None:
        """These were decided just before `now`, in monotonic seconds."""
        if decided.wanted or decided.answered:
            slot = self._slot(now).decided[policy]
            sofar = slot.get(decided.tier, Decisions(decided.tier))
            slot[decided.tier] = Decisions(
                decided.tier, sofar.wanted + decided.wanted, sofar.answered + decided.answered
            )

    def shares(self, policy: Policy, held: Held, now: float) -> tuple[TierShare, ...]:
        """Share of each tier of a policy; none where nothing was decided."""
        sums = [self._sum(policy, each.tier, now) for each in held.decisions]
        wanted, answered = sum(each.wanted for each in sums), sum(each.answered for each in sums)
        if not wanted:
            return ()
        return tuple(
            TierShare(each.tier, each.wanted / wanted, each.answered / answered if answered else 0.0)
            for each in sums
        )

    def _sum(self, policy: Policy, tier: str, now: float) -> Decisions:
        parts = [
            slot.decided[policy].get(tier, Decisions(tier))
            for slot in self._lately(now)
            if policy in slot.decided
        ]
        return Decisions(tier, sum(each.wanted for each in parts), sum(each.answered for each in parts))

    def _slot(self, now: float) -> _Slot:
        if not self._slots or now - self._slots[-1].since >= self._seconds / _SLOTS:
            self._slots.append(_Slot(now))
        return self._slots[-1]

    def _lately(self, now: float) -> Iterator[_Slot]:
        while self._slots and now - self._slots[0].since > self._seconds:
            self._slots.popleft()
        return iter(self._slots)


@dataclass(slots=True)
class _Slot:
    since: float
    decided: defaultdict[Policy, dict[str, Decisions]] = field(default_factory=lambda: defaultdict(dict))
