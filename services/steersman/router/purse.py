"""What a replica has in hand of one tenant's quotas, so that most requests ask nobody.

Pure: it says what to ask the shared store for, and takes in what the store answered. What is known of each quota is its
holding's (`holdings.py`); the store is looked at anew every second, and for every request where a holding says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from steersman.router.holdings import HOLDINGS, Claim, Holding, Use
from steersman.router.quotas import Ask, Kind, Quotas, Taken

Claims = Sequence[Claim]
"""What a request takes, one a quota."""

ASK_AGAIN_SECONDS: Final = 1.0
"""Age at which what the store told is asked for again, while requests go on being let in."""
_TRUSTED_SECONDS: Final = 2.0
"""Age at which none is let in by it any more."""
_REFUSED_SECONDS: Final = 0.1
"""Age at which none is refused by it any more."""


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
    _holdings: list[Holding] = field(init=False)
    """One a quota, in their order."""
    _drawn: bool = False
    """Whether anything was drawn since the store was last asked."""

    def __post_init__(self) -> None:
        self._begin({})

    def adopt(self, quotas: Quotas) -> None:
        """Go by other quotas from now on; what is in hand of those that go on under their name stays."""
        same = quotas == self.quotas
        before = {each.quota.name: each.free for each in self._holdings}
        self.quotas = quotas
        if not same:
            self._begin(before)

    def _begin(self, free: Mapping[str, float]) -> None:
        """Know nothing of the store yet. A slot of each request in progress is missing where there were none before."""
        self._holdings = [
            HOLDINGS[quota.kind](
                quota, free.get(quota.name, -self.running if quota.kind is Kind.RUNNING else 0.0)
            )
            for quota in self.quotas.all
        ]
        self.told_at = -math.inf

    def claims(self, tokens: int) -> Claims:
        """What a request takes.

        Args:
            tokens: Estimate, the longest answer included.
        """
        return [each.claim(tokens) for each in self._holdings]

    def covers(self, claims: Claims, now: float) -> bool:
        """Whether a request can be let in without asking."""
        if now - self.told_at >= _TRUSTED_SECONDS:
            return False
        for each, claim in zip(self._holdings, claims, strict=True):  # noqa: SIM110 - for each request, and all() is slower
            if not each.covers(claim):
                return False
        return True

    def holds(self, claims: Claims) -> bool:
        """Whether what it takes is in hand."""
        return all(each.holds(claim) for each, claim in zip(self._holdings, claims, strict=True))

    def short(self, claims: Claims, now: float) -> int | None:
        """The first quota of which there is too little, as far as is known; None where the store has to be asked."""
        passed = now - self.told_at
        if passed > _REFUSED_SECONDS:
            return None
        shorts = (each.short(claim, passed) for each, claim in zip(self._holdings, claims, strict=True))
        return next((at for at, short in enumerate(shorts) if short), None)

    def draw(self, claims: Claims, now: float) -> Allowance:
        """Let a request in."""
        self._drawn = True
        self.running += 1
        tokens = 0.0
        for each, claim in zip(self._holdings, claims, strict=True):
            each.draw(claim)
            if each.quota.kind is Kind.TOKENS:
                tokens += claim or 0.0
        return Allowance(self, now, tokens)

    def settle(self, use: Use) -> None:
        """A request has ended."""
        self.running -= 1
        for each in self._holdings:
            each.settle(use)

    def left(self, at: int, now: float) -> float:
        """How much of a quota there is, as far as is known here."""
        return self._holdings[at].left(now - self.told_at)

    @property
    def news(self) -> bool:
        """Whether the store should be told something soon."""
        return any(each.news for each in self._holdings)

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self.running and not any(each.free for each in self._holdings)

    def asks(self, waiting: Sequence[Claims], *, keep: bool = True) -> tuple[Ask, ...]:
        """What to ask the store for; `took` has to follow.

        Args:
            waiting: What requests that wait need, the first first.
            keep: Whether some is kept in hand; else all goes back that no request has.
        """
        keep = keep and (self._drawn or bool(waiting))
        self._drawn = False
        return tuple(
            each.ask([claims[at] for claims in waiting], self.running, keep=keep)
            for at, each in enumerate(self._holdings)
        )

    def took(self, asks: Sequence[Ask], taken: Taken, now: float) -> None:
        """Take in what the store answered."""
        if tuple(ask.quota for ask in asks) != self.quotas.all:
            return  # they have changed meanwhile; what was had in this moment fills up again
        self.told_at = now
        met = taken.short is None
        for each, ask, level, extra in zip(self._holdings, asks, taken.levels, taken.extras, strict=True):
            each.took(ask, level, extra, met=met)


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
