"""What a replica has in hand of one tenant's quotas, so that most requests ask nobody.

Pure: it says what to ask the shared store for, and takes in what the store answered. What is in hand has been taken of
the shared buckets before, so that all replicas together never let through more than these hold; the price is that
others cannot have it: a 64th of a quota, and an eighth of what was left of it. What can only be looked at (money, calls
of the dearest tier) is looked at anew every second, and for every request when an eighth or less is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from steersman.router.quotas import Ask, Kind, Quotas, Taken

Claims = Mapping[Kind, float]
"""What a request takes, by kind; those in which nothing is asked for are not in it."""

_OF_QUOTA: Final = 64
_OF_REST: Final = 8
_FEW_CALLS: Final = 8
_KNOWN_SECONDS: Final = 1.0
"""How long what the store told of its levels is good enough to let requests in by what is in hand."""
_REFUSED_SECONDS: Final = 0.1
"""How long it is good enough to refuse by."""
_HELD: Final = frozenset({Kind.REQUESTS, Kind.TOKENS, Kind.RUNNING})


@dataclass(slots=True)
class Purse:
    """One tenant's.

    Args:
        tenant: Whose.
        quotas: As they are in force.
    """

    tenant: str
    quotas: Quotas
    running: int = 0
    """Requests in progress."""
    _hand: list[float] = field(init=False)
    """By quota: what is in hand, slots in use included; negative what was used and has not been told."""
    _told: tuple[float, ...] = field(init=False)
    """What the store had left of each."""
    told_at: float = -math.inf
    """When the store was last heard."""
    _most_tokens: float = field(init=False)
    _drawn: bool = False
    """Whether anything was drawn since the store was last asked."""

    def __post_init__(self) -> None:
        self._hand = [0.0] * len(self.quotas.all)
        self._told = (0.0,) * len(self.quotas.all)
        self._most_tokens = _most_tokens(self.quotas)

    def adopt(self, quotas: Quotas) -> None:
        """Go by other quotas from now on; what is in hand of those that go on under their name stays."""
        if quotas == self.quotas:
            self.quotas = quotas
            return
        before = {quota.name: hand for quota, hand in zip(self.quotas.all, self._hand, strict=True)}
        self.quotas = quotas
        self._hand = [before.get(quota.name, 0.0) for quota in quotas.all]
        self._told = (0.0,) * len(quotas.all)
        self.told_at = -math.inf
        self._most_tokens = _most_tokens(quotas)

    def claims(self, tokens: int) -> Claims:
        """What a request takes.

        Money is asked for and not taken, since what a request costs is known when it has been answered; of calls of
        the dearest tier not even that is known before the decision.

        Args:
            tokens: Estimate, the longest answer included; more than a whole quota is taken for the whole of it.
        """
        taken = min(float(tokens), self._most_tokens)
        return {Kind.REQUESTS: 1.0, Kind.TOKENS: taken, Kind.USD: 0.0, Kind.RUNNING: 1.0}

    def covers(self, claims: Claims, now: float) -> bool:
        """Whether a request can be let in without asking."""
        return now - self.told_at < _KNOWN_SECONDS and not self._near_the_end() and self.holds(claims)

    def holds(self, claims: Claims) -> bool:
        """Whether what it takes is in hand."""
        return all(
            self._free(at) >= claims[quota.kind]
            for at, quota in enumerate(self.quotas.all)
            if quota.kind in _HELD
        )

    def short(self, claims: Claims, now: float) -> int | None:
        """The first quota of which there is too little, as far as is known; None where the store has to be asked."""
        passed = now - self.told_at
        if passed > _REFUSED_SECONDS:
            return None
        for at, quota in enumerate(self.quotas.all):
            lack = self._lack(at, claims)
            level = self._told[at] + passed * quota.refill - max(0.0, -self._hand[at])
            if lack is not None and (level < lack or level <= 0):
                return at
        return None

    def draw(self, claims: Claims) -> None:
        """A request is let in."""
        self._drawn = True
        self.running += 1
        for at, quota in enumerate(self.quotas.all):
            if quota.kind is Kind.REQUESTS or quota.kind is Kind.TOKENS:
                self._hand[at] -= claims[quota.kind]

    def settle(self, more: Claims) -> None:
        """A request has ended, and took so much more than it was let in with."""
        self.running -= 1
        for at, quota in enumerate(self.quotas.all):
            if quota.kind in more:
                self._hand[at] -= more[quota.kind]

    def left(self, at: int, now: float) -> float:
        """How much of a quota there is, as far as is known here."""
        quota = self.quotas.all[at]
        told = self._told[at]
        if quota.refill:
            told += max(0.0, now - self.told_at) * quota.refill
        return min(quota.amount, told + self._free(at))

    @property
    def news(self) -> bool:
        """Whether the store should be told something soon: what was used, or that more is in hand than is needed."""
        return any(self._hand[at] < 0 or self._spare(at) for at in range(len(self._hand)))

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self.running and not any(self._hand)

    def asks(self, waiting: Sequence[Claims], *, keep: bool = True) -> tuple[Ask, ...]:
        """What to ask the store for; `took` has to follow.

        Args:
            waiting: What requests that wait need, the first first.
            keep: Whether some is kept in hand; else all goes back that no request has.
        """
        keep = keep and (self._drawn or bool(waiting))
        self._drawn = False
        asks = []
        for at, quota in enumerate(self.quotas.all):
            claim = self._lack(at, waiting[0]) if waiting else None
            block = self._block(at) if keep and quota.kind in _HELD else 0
            extra = self._beyond(at, waiting, block) if waiting and quota.kind in _HELD else 0.0
            asks.append(self._ask(at, claim, extra, keep=math.inf if waiting else block))
        return tuple(asks)

    def took(self, asks: Sequence[Ask], taken: Taken, now: float) -> None:
        """Take in what the store answered."""
        if tuple(ask.quota for ask in asks) != self.quotas.all:
            return  # they have changed meanwhile; what was had in this moment fills up again
        self._told, self.told_at = taken.levels, now
        for at, ask in enumerate(asks):
            if ask.quota.kind in _HELD and taken.short is None:
                self._hand[at] += (ask.claim or 0.0) + taken.extras[at]

    def _ask(self, at: int, claim: float | None, extra: float, *, keep: float) -> Ask:
        """Of what is free in hand, more than `keep` goes back; what was used is told."""
        quota, free = self.quotas.all[at], self._free(at)
        back = max(0.0, free - keep)
        if quota.kind is Kind.RUNNING:
            self._hand[at] -= back
            return Ask(quota, claim=claim, extra=extra, held=self._hand[at])
        owed = max(0.0, -self._hand[at]) - back
        self._hand[at] += owed
        return Ask(quota, owed, claim, extra)

    def _lack(self, at: int, claims: Claims) -> float | None:
        """What is needed of a quota and not in hand; None where that is nothing, and nothing is to be looked at."""
        kind = self.quotas.all[at].kind
        if kind not in _HELD:
            return claims.get(kind)
        free = self._free(at)
        lack = claims[kind] - (free if kind is Kind.RUNNING else max(0.0, free))
        return lack if lack > 0 else None

    def _beyond(self, at: int, waiting: Sequence[Claims], block: int) -> float:
        """What is missing for those that wait behind the first, and for a block."""
        kind = self.quotas.all[at].kind
        left_by_first = max(0.0, max(0.0, self._free(at)) - waiting[0][kind])
        return max(0.0, sum(each[kind] for each in waiting[1:]) + block - left_by_first)

    def _spare(self, at: int) -> bool:
        """Whether so much is in hand that others should have it."""
        fraction = 0 if self.quotas.all[at].kind is Kind.RUNNING else 1
        return self._free(at) > 2 * self._block(at) + fraction

    def _free(self, at: int) -> float:
        """What is in hand and no request has."""
        slots = self.quotas.all[at].kind is Kind.RUNNING
        return self._hand[at] - self.running if slots else self._hand[at]

    def _block(self, at: int) -> int:
        """How much is taken beyond what is needed, and kept."""
        return int(min(self.quotas.all[at].amount / _OF_QUOTA, max(0.0, self._told[at]) / _OF_REST))

    def _near_the_end(self) -> bool:
        for at, quota in enumerate(self.quotas.all):
            if quota.kind in _HELD:
                continue
            few = _FEW_CALLS if quota.kind is Kind.STRONG_CALLS else 0.0
            if self._told[at] + self._hand[at] <= max(few, quota.amount / _OF_REST):
                return True
        return False


def _most_tokens(quotas: Quotas) -> float:
    return min((each.amount for each in quotas.all if each.kind is Kind.TOKENS), default=math.inf)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a request was let in with."""

    purse: Purse
    claims: Claims
    now: float
    """When that was."""

    @property
    def quotas(self) -> Quotas:
        """Its tenant's."""
        return self.purse.quotas

    @property
    def levels(self) -> Mapping[str, float]:
        """What is left of each quota, by its name."""
        return {quota.name: self.purse.left(at, self.now) for at, quota in enumerate(self.quotas.all)}

    def spent(self, kind: Kind) -> int | None:
        """A quota of this kind of which less than one is left, by its place."""
        for at, quota in enumerate(self.quotas.all):
            if quota.kind is kind and self.purse.left(at, self.now) < 1:
                return at
        return None
