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

Claims = Sequence[float | None]
"""What a request takes, one a quota; None where nothing is asked for before it is decided."""

_OF_QUOTA: Final = 64
_OF_REST: Final = 8
_FEW_CALLS: Final = 8.0
ASK_AGAIN_SECONDS: Final = 1.0
"""Age at which what the store told is asked for again, while requests go on being let in."""
_TRUSTED_SECONDS: Final = 2.0
"""Age at which none is let in by it any more."""
_REFUSED_SECONDS: Final = 0.1
"""Age at which none is refused by it any more."""
_CLAIMS: Final[Mapping[Kind, float]] = {
    Kind.REQUESTS: 1.0,
    Kind.TOKENS: 0.0,
    Kind.USD: 0.0,
    Kind.RUNNING: 1.0,
}
"""What a request takes; of money nothing, since what it costs is known when it has been answered, but it is asked for.
Of calls of the dearest tier not even that is known before the decision."""
_IN_HAND: Final = frozenset({Kind.REQUESTS, Kind.TOKENS, Kind.RUNNING})


@dataclass(frozen=True, slots=True)
class _Places:
    """Where which kind of quota stands among a tenant's."""

    in_hand: tuple[int, ...]
    looked_at: tuple[tuple[int, float], ...]
    """With the level at or below which each request has to look anew."""
    slots: tuple[int, ...]
    tokens: tuple[int, ...]
    usd: tuple[int, ...]
    strong_calls: tuple[int, ...]

    @classmethod
    def of(cls, quotas: Quotas) -> _Places:
        def those(*kinds: Kind) -> tuple[int, ...]:
            return tuple(at for at, quota in enumerate(quotas.all) if quota.kind in kinds)

        looked_at = tuple(
            (at, max(_FEW_CALLS if quota.kind is Kind.STRONG_CALLS else 0.0, quota.amount / _OF_REST))
            for at, quota in enumerate(quotas.all)
            if quota.kind not in _IN_HAND
        )
        return cls(
            those(*_IN_HAND),
            looked_at,
            those(Kind.RUNNING),
            those(Kind.TOKENS),
            those(Kind.USD),
            those(Kind.STRONG_CALLS),
        )


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
    told_at: float = -math.inf
    """When the store was last heard."""
    _free: list[float] = field(init=False)
    """By quota: what is in hand and no request has; negative what was used and has not been told."""
    _told: Sequence[float] = field(init=False)
    """What the store had left of each."""
    _blocks: list[int] = field(init=False)
    """How much of each is taken beyond what is needed, and kept."""
    _places: _Places = field(init=False)
    _drawn: bool = False
    """Whether anything was drawn since the store was last asked."""

    def __post_init__(self) -> None:
        self._begin({})

    def adopt(self, quotas: Quotas) -> None:
        """Go by other quotas from now on; what is in hand of those that go on under their name stays."""
        same = quotas == self.quotas
        before = {quota.name: free for quota, free in zip(self.quotas.all, self._free, strict=True)}
        self.quotas = quotas
        if not same:
            self._begin(before)

    def _begin(self, free: Mapping[str, float]) -> None:
        """Know nothing of the store yet. A slot of each request in progress is missing where there were none before."""
        every = self.quotas.all
        self._places = _Places.of(self.quotas)
        self._free = [
            free.get(quota.name, -self.running if quota.kind is Kind.RUNNING else 0.0) for quota in every
        ]
        self._told, self._blocks = [0.0] * len(every), [0] * len(every)
        self.told_at = -math.inf

    def claims(self, tokens: int) -> Claims:
        """What a request takes.

        Args:
            tokens: Estimate, the longest answer included; more than a whole quota is taken for the whole of it.
        """
        claims = [_CLAIMS.get(quota.kind) for quota in self.quotas.all]
        for at in self._places.tokens:
            claims[at] = min(float(tokens), self.quotas.all[at].amount)
        return claims

    def covers(self, claims: Claims, now: float) -> bool:
        """Whether a request can be let in without asking."""
        if now - self.told_at >= _TRUSTED_SECONDS:
            return False
        for at, least in self._places.looked_at:
            if self._told[at] + self._free[at] <= least:
                return False
        return self.holds(claims)

    def holds(self, claims: Claims) -> bool:
        """Whether what it takes is in hand."""
        return all(self._free[at] >= (claims[at] or 0.0) for at in self._places.in_hand)

    def short(self, claims: Claims, now: float) -> int | None:
        """The first quota of which there is too little, as far as is known; None where the store has to be asked."""
        passed = now - self.told_at
        if passed > _REFUSED_SECONDS:
            return None
        for at, quota in enumerate(self.quotas.all):
            lack = self._lack(at, claims)
            untold = 0.0 if quota.kind is Kind.RUNNING else max(0.0, -self._free[at])
            level = self._told[at] + passed * quota.refill - untold
            if lack is not None and (level < lack or level <= 0):
                return at
        return None

    def draw(self, claims: Claims, now: float) -> Allowance:
        """Let a request in."""
        self._drawn = True
        self.running += 1
        for at in self._places.in_hand:
            self._free[at] -= claims[at] or 0.0
        return Allowance(self, now, sum(claims[at] or 0.0 for at in self._places.tokens))

    def settle(self, *, tokens: float, usd: float, strong: bool) -> None:
        """A request has ended.

        Args:
            tokens: So many more than it was let in with.
            usd: What it cost.
            strong: Whether the dearest tier answered.
        """
        self.running -= 1
        for at in self._places.slots:
            self._free[at] += 1.0
        for at in self._places.tokens:
            self._free[at] -= tokens
        if usd:
            for at in self._places.usd:
                self._free[at] -= usd
        if strong:
            for at in self._places.strong_calls:
                self._free[at] -= 1.0

    def left(self, at: int, now: float) -> float:
        """How much of a quota there is, as far as is known here."""
        quota, told = self.quotas.all[at], self._told[at]
        if quota.refill:
            told += max(0.0, now - self.told_at) * quota.refill
        return min(quota.amount, told + self._free[at])

    @property
    def news(self) -> bool:
        """Whether the store should be told something soon: what was used, or that others should have what is here."""
        for at, free in enumerate(self._free):
            if free < 0 or free > 2 * self._blocks[at] + 1:
                return True
        return any(self._free[at] > 2 * self._blocks[at] for at in self._places.slots)

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self.running and not any(self._free)

    def asks(self, waiting: Sequence[Claims], *, keep: bool = True) -> tuple[Ask, ...]:
        """What to ask the store for; `took` has to follow.

        Args:
            waiting: What requests that wait need, the first first.
            keep: Whether some is kept in hand; else all goes back that no request has.
        """
        keep = keep and (self._drawn or bool(waiting))
        self._drawn = False
        return tuple(self._ask(at, waiting, keep=keep) for at in range(len(self._free)))

    def took(self, asks: Sequence[Ask], taken: Taken, now: float) -> None:
        """Take in what the store answered."""
        if tuple(ask.quota for ask in asks) != self.quotas.all:
            return  # they have changed meanwhile; what was had in this moment fills up again
        self._told, self.told_at = taken.levels, now
        for at in self._places.in_hand:
            if taken.short is None:
                self._free[at] += (asks[at].claim or 0.0) + taken.extras[at]
            self._blocks[at] = int(
                min(self.quotas.all[at].amount / _OF_QUOTA, max(0.0, taken.levels[at]) / _OF_REST)
            )

    def _ask(self, at: int, waiting: Sequence[Claims], *, keep: bool) -> Ask:
        """What was used is told; of what is in hand, more than a block goes back when nobody waits for it."""
        quota, block = self.quotas.all[at], self._blocks[at] if keep else 0
        claim = self._lack(at, waiting[0]) if waiting else None
        extra = self._beyond(at, waiting, block) if quota.kind in _IN_HAND and keep else 0.0
        back = 0.0 if waiting else max(0.0, self._free[at] - block)
        if quota.kind is Kind.RUNNING:
            self._free[at] -= back
            return Ask(quota, claim=claim, extra=extra, held=self._free[at] + self.running)
        owed = max(0.0, -self._free[at]) - back
        self._free[at] += owed
        return Ask(quota, owed, claim, extra)

    def _lack(self, at: int, claims: Claims) -> float | None:
        """What is needed of a quota and not in hand; None where that is nothing, and nothing is to be looked at."""
        claim, kind = claims[at], self.quotas.all[at].kind
        if claim is None or kind not in _IN_HAND:
            return claim
        free = self._free[at]
        lack = claim - (free if kind is Kind.RUNNING else max(0.0, free))
        return lack if lack > 0 else None

    def _beyond(self, at: int, waiting: Sequence[Claims], block: int) -> float:
        """What is missing for those that wait behind the first, and for a block."""
        needs = [each[at] or 0.0 for each in waiting]
        left_by_first = max(0.0, max(0.0, self._free[at]) - (needs[0] if needs else 0.0))
        return max(0.0, sum(needs[1:]) + block - left_by_first)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a request was let in with."""

    purse: Purse
    now: float
    """When that was."""
    tokens: float
    """Claimed; 0 where they are not limited."""

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
