"""What a tenant may use: token buckets for what it may use in a time, and slots for what may go on at once.

Pure arithmetic. A bucket holds as much as the quota allows in its time and fills up evenly, so that a tenant may use
all of it at once and then as much as comes in. What a request will take is estimated, taken before and put right
afterwards; a bucket may therefore be in debt, which has to fill up first. Slots do not fill up: they come back when
requests end, and each replica has as many of them as it says, for as long as it goes on saying so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
LEASE: Final = 15.0
"""Seconds after which the slots of a replica that has not been heard of are free again."""
_SLOT_SECONDS: Final = 1.0
"""When to come back for a slot: nobody knows when a request ends."""


class Kind(Enum):
    """What is counted."""

    REQUESTS = auto()
    TOKENS = auto()
    STRONG_CALLS = auto()
    """Answers of a policy's dearest tier."""
    USD = auto()
    RUNNING = auto()
    """Requests in progress: slots, not a bucket."""


@dataclass(frozen=True, slots=True)
class Quota:
    """So much of one kind in a time, or at once."""

    name: str
    """As the operator wrote it: `requests_per_minute`. Each of a tenant's has another."""
    kind: Kind
    amount: float
    seconds: float
    """In which a bucket fills up; of slots, how long a replica keeps them without a word."""

    @property
    def refill(self) -> float:
        """How much comes in each second."""
        return 0.0 if self.kind is Kind.RUNNING else self.amount / self.seconds


@dataclass(frozen=True, slots=True)
class Quotas:
    """All of a tenant's; it may use any amount of what has none."""

    all: tuple[Quota, ...] = ()
    weak_when_spent: bool = False
    """Whether a query for the dearest tier goes to the cheapest one when its calls are spent; refused otherwise."""


NO_QUOTAS: Final = Quotas()


@dataclass(frozen=True, slots=True)
class Bucket:
    """How much there is of a quota."""

    level: float
    at: float
    """When that was, in seconds."""

    def filled(self, quota: Quota, now: float) -> Bucket:
        """The same bucket now."""
        return Bucket(min(quota.amount, self.level + max(0.0, now - self.at) * quota.refill), now)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a replica asks of one quota."""

    quota: Quota
    owed: float = 0.0
    """Taken first, whatever there is, since it has been used already; negative where it is given back."""
    claim: float | None = None
    """Taken when all that is claimed can be had, of every quota; of a bucket that is empty or in debt nothing can, not
    even nothing. None where nothing is asked for."""
    extra: float = 0.0
    """After the claims, as much of this as there is, in whole numbers."""
    held: float = 0.0
    """Of slots: how many the replica has already, whatever the store believes."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of asks of several quotas."""

    levels: tuple[float, ...]
    """How much there is of each, afterwards; in the order of the asks."""
    extras: tuple[float, ...]
    """How much of each extra was had."""
    short: int | None = None
    """The first quota of which there is too little; then no claim was met, and there was no extra."""


def take(buckets: Sequence[Bucket], asks: Sequence[Ask], *, now: float) -> tuple[tuple[Bucket, ...], Taken]:
    """Meet all claims, or none.

    Args:
        buckets: One an ask; those of slots are not looked at, since nobody else has any here.
        asks: What is asked.
        now: The time.
    """
    levels = [_before(bucket, ask, now) for bucket, ask in zip(buckets, asks, strict=True)]
    extras = [0.0] * len(asks)
    short = next((at for at, ask in enumerate(asks) if _lacks(ask.claim, levels[at])), None)
    if short is None:
        for at, ask in enumerate(asks):
            left = levels[at] - (ask.claim or 0.0)
            extras[at] = float(math.floor(max(0.0, min(ask.extra, left))))
            levels[at] = left - extras[at]
    return tuple(Bucket(level, now) for level in levels), Taken(tuple(levels), tuple(extras), short)


def wait_for(quota: Quota, level: float, amount: float) -> float:
    """Seconds until a bucket has so much, or is full; a guess where there are slots."""
    missing = max(0.0, min(amount, quota.amount) - level)
    if quota.refill == 0.0:
        return _SLOT_SECONDS if missing else 0.0
    return missing / quota.refill


def _before(bucket: Bucket, ask: Ask, now: float) -> float:
    """How much there is before the claims."""
    if ask.quota.kind is Kind.RUNNING:
        return ask.quota.amount - ask.held
    return bucket.filled(ask.quota, now).level - ask.owed


def _lacks(claim: float | None, level: float) -> bool:
    return claim is not None and (level < claim or level <= 0)
