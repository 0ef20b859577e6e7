"""How long an attempt is waited for, and when it is given up while somebody else could still answer.

An attempt that has not begun is given up early where somebody else could still answer in time and the budget pays for
asking: when the address has fallen silent, and, where it never says how it is, when half of the caller's time is gone
without a first byte. An answer that is not streamed tells nothing by being late, so only silence counts for it. A pod
that says how busy it is, is waited for: it would be a long prompt that is lost. So it is without a place to go to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from steersman.router.attempt import Errand
from steersman.router.fleet import Fleet, Member
from steersman.router.ports import Upstream
from steersman.router.retry import RetryBudget


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an attempt may take.

    Args:
        first_byte: Seconds until a stream begins.
        whole: Seconds until an answer that is not streamed has come.
        idle: Seconds between two pieces of a stream.
        attempts: Attempts on one tier, the first one included.
        part: Of the time that the caller leaves, what a stream may take to begin where somebody else could answer too.
        earliest: Seconds that it has all the same.
    """

    first_byte: float = 30.0
    whole: float = 120.0
    idle: float = 30.0
    attempts: int = 3
    part: float = 0.5
    earliest: float = 1.0


@dataclass(frozen=True, slots=True)
class Prospects:
    """What an errand can still hope for.

    Args:
        fleets: The addresses of each tier, by its name.
        patience: Limits of an attempt.
        budget: For retries.
        tier: Name of the tier that is asked.
        errand: What it is asked for.
    """

    fleets: Mapping[str, Fleet[Upstream]]
    patience: Patience
    budget: RetryBudget
    tier: str
    errand: Errand

    def others(self, tried: Collection[str]) -> bool:
        """Whether the tier has an address that may be tried yet."""
        return len(tried) < self.patience.attempts and self._answers(self.tier, but=tried)

    @contextmanager
    def unless_silent(self, limit: asyncio.Timeout, member: Member[Upstream]) -> Iterator[None]:
        """Have `limit` brought forward where the address falls silent that is waited for."""
        with member.awaited(self._giving_up(limit, member)):
            yield

    @contextmanager
    def unless_late(self, limit: asyncio.Timeout, member: Member[Upstream]) -> Iterator[None]:
        """Have it brought forward, too, where a stream begins late and its address does not say how it is."""
        fleet, give_up = self.fleets.get(self.tier), self._giving_up(limit, member)

        def late() -> None:
            if fleet is None or not fleet.vouches(member):
                give_up()

        early = max(self.patience.earliest, self.patience.part * self.errand.deadline.remaining)
        timer = asyncio.get_running_loop().call_later(early, late)
        try:
            with member.awaited(give_up):
                yield
        finally:
            timer.cancel()

    def _giving_up(self, limit: asyncio.Timeout, member: Member[Upstream]) -> Callable[[], None]:
        """To be called when the wait for an attempt's first byte looks hopeless."""
        loop = asyncio.get_running_loop()

        def give_up() -> None:
            if not self.errand.paid and not limit.expired() and self._pays(member):
                limit.reschedule(loop.time())

        return give_up

    def _pays(self, member: Member[Upstream]) -> bool:
        """Whether the attempt on this member is to be given up, since another one can be made; that one is paid then.

        It is paid here, and not when it is made: what is given up for nothing would have been better kept.
        """
        errand = self.errand
        elsewhere = self.others({*errand.tried, member.address}) or any(map(self._answers, errand.instead))
        errand.paid = elsewhere and not errand.deadline.passed and self.budget.spend()
        return errand.paid

    def _answers(self, name: str, *, but: Collection[str] = ()) -> bool:
        """Whether a tier has an address that should answer."""
        fleet = self.fleets.get(name)  # absent when the catalogue has dropped it since
        return fleet is not None and any(
            member.address not in but and member.breaker.ready and not fleet.is_silent(member)
            for member in fleet.members
        )
