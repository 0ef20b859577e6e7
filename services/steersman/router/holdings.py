"""What a replica has in hand, and knows, of one of a tenant's quotas. Pure.

What is in hand has been taken of the shared bucket before, so that all replicas together never let through more than it
holds; the price is that others cannot have it: a 64th of a quota, and an eighth of what was left of it. What can only
be looked at (money, calls of the dearest tier) is looked at for every request when an eighth or less is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from steersman.router.quotas import Ask, Kind, Quota

Claim = float | None
"""What a request takes of a quota; None where nothing is asked for before it is decided."""

_OF_QUOTA: Final = 64
_OF_REST: Final = 8
_FEW_CALLS: Final = 8.0


class Use(NamedTuple):
    """What a request has taken in the end."""

    tokens: float
    """So many more than it was let in with."""
    usd: float
    strong: bool
    """Whether the dearest tier answered."""


@dataclass(slots=True)
class Holding:
    """Of a bucket of which some is kept in hand, as of requests."""

    quota: Quota
    free: float = 0.0
    """What is in hand and no request has; negative what was used and has not been told."""
    told: float = 0.0
    """What the store had left."""
    block: int = 0
    """How much is taken beyond what is needed, and kept."""

    def claim(self, tokens: int) -> Claim:
        """What a request of so many tokens takes."""
        del tokens
        return 1.0

    def covers(self, claim: Claim) -> bool:
        """Whether a request can be let in without asking."""
        return self.free >= (claim or 0.0)

    def holds(self, claim: Claim) -> bool:
        """Whether what it takes is in hand."""
        return self.free >= (claim or 0.0)

    def lack(self, claim: Claim) -> Claim:
        """What is needed and not in hand; None where that is nothing, and nothing is to be looked at."""
        missing = (claim or 0.0) - max(0.0, self.free)
        return missing if missing > 0 else None

    def short(self, claim: Claim, passed: float) -> bool:
        """Whether there is too little, as far as is known from so many seconds ago."""
        lack = self.lack(claim)
        level = self.told + passed * self.quota.refill - self._untold
        return lack is not None and (level < lack or level <= 0)

    def draw(self, claim: Claim) -> None:
        """Give a request what it takes."""
        self.free -= claim or 0.0

    def settle(self, use: Use) -> None:
        """A request has ended; put right what was drawn for it."""

    def left(self, passed: float) -> float:
        """How much there is, as far as is known from so many seconds ago."""
        come = (
            max(0.0, passed) * self.quota.refill if self.quota.refill else 0.0
        )  # nothing, however long it has been
        return min(self.quota.amount, self.told + come + self.free)

    @property
    def news(self) -> bool:
        """Whether the store should be told something soon: what was used, or that others should have what is here."""
        return self.free < 0 or self.free > 2 * self.block + 1

    def ask(self, waiting: Sequence[Claim], running: int, *, keep: bool) -> Ask:
        """What to ask the store for; what was used is told with it.

        Args:
            waiting: What requests need that wait, the first first; more than a block goes back when there are none.
            running: Requests in progress.
            keep: Whether a block is kept.
        """
        block = self.block if keep else 0
        claim = self.lack(waiting[0]) if waiting else None
        extra = self._beyond(waiting, block) if keep else 0.0
        back = 0.0 if waiting else max(0.0, self.free - block)
        return self._asked(claim, extra, back, running)

    def took(self, ask: Ask, level: float, extra: float, *, met: bool) -> None:
        """Take in what the store answered.

        Args:
            ask: What it was asked for.
            level: What it has left.
            extra: What it gave beyond the claim.
            met: Whether it gave anything.
        """
        self.told = level
        if met:
            self.free += (ask.claim or 0.0) + extra
        self.block = int(min(self.quota.amount / _OF_QUOTA, max(0.0, level) / _OF_REST))

    @property
    def _untold(self) -> float:
        return max(0.0, -self.free)

    def _asked(self, claim: Claim, extra: float, back: float, _: int) -> Ask:
        owed = self._untold - back
        self.free += owed
        return Ask(self.quota, owed, claim, extra)

    def _beyond(self, waiting: Sequence[Claim], block: int) -> float:
        """What is missing for those that wait behind the first, and for a block."""
        needs = [claim or 0.0 for claim in waiting]
        left_by_first = max(0.0, max(0.0, self.free) - (needs[0] if needs else 0.0))
        return max(0.0, sum(needs[1:]) + block - left_by_first)


class Tokens(Holding):
    """Of tokens, which are drawn by estimate."""

    __slots__ = ()

    def claim(self, tokens: int) -> Claim:
        """See `Holding`; of more than a whole quota the whole of it."""
        return min(float(tokens), self.quota.amount)

    def settle(self, use: Use) -> None:
        """See `Holding`."""
        self.free -= use.tokens


class Slots(Holding):
    """Of requests in progress: what is in hand is owed to nobody, and told as a number."""

    __slots__ = ()

    def settle(self, _: Use) -> None:
        """See `Holding`."""
        self.free += 1.0

    def lack(self, claim: Claim) -> Claim:
        """See `Holding`; here it may be that fewer are had than are in progress."""
        missing = (claim or 0.0) - self.free
        return missing if missing > 0 else None

    @property
    def news(self) -> bool:
        """See `Holding`."""
        return self.free < 0 or self.free > 2 * self.block

    @property
    def _untold(self) -> float:
        return 0.0

    def _asked(self, claim: Claim, extra: float, back: float, running: int) -> Ask:
        self.free -= back
        return Ask(self.quota, claim=claim, extra=extra, held=self.free + running)


class LookedAt(Holding):
    """Of what cannot be had in advance, as of money: what an answer costs is known when it has come."""

    __slots__ = ()

    def claim(self, _: int) -> Claim:
        """Nothing, but there has to be some."""
        return 0.0

    def covers(self, _: Claim) -> bool:
        """Whether there is so much that it need not be looked at anew."""
        return self.told + self.free > self.quota.amount / _OF_REST

    def holds(self, _: Claim) -> bool:
        """Nothing is to be held."""
        return True

    def lack(self, claim: Claim) -> Claim:
        """See `Holding`; it is to be looked at where it is asked for at all."""
        return claim

    def draw(self, claim: Claim) -> None:
        """Nothing is given."""

    def settle(self, use: Use) -> None:
        """See `Holding`."""
        self.free -= use.usd

    def took(self, _: Ask, level: float, __: float, *, met: bool) -> None:
        """See `Holding`; nothing of it is kept."""
        del met
        self.told = level

    def _beyond(self, _: Sequence[Claim], __: int) -> float:
        return 0.0


class StrongCalls(LookedAt):
    """Of calls of the dearest tier, which are not even asked for before the decision."""

    __slots__ = ()

    def claim(self, _: int) -> Claim:
        """See `Holding`."""
        return None

    def covers(self, _: Claim) -> bool:
        """See `LookedAt`; a few are few of any number."""
        return self.told + self.free > max(_FEW_CALLS, self.quota.amount / _OF_REST)

    def settle(self, use: Use) -> None:
        """See `Holding`."""
        self.free -= use.strong


HOLDINGS: Final[Mapping[Kind, type[Holding]]] = {
    Kind.REQUESTS: Holding,
    Kind.TOKENS: Tokens,
    Kind.USD: LookedAt,
    Kind.STRONG_CALLS: StrongCalls,
    Kind.RUNNING: Slots,
}
"""Which of them a quota needs."""
