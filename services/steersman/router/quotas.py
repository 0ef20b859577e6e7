"""What a tenant may use in a time: token buckets, as pure arithmetic.

A bucket holds as much as the quota allows in its time and fills up evenly, so that a tenant may use all of it at once
and then as much as comes in. What a request will take is estimated, taken before and put right afterwards; a bucket
may therefore be in debt, which has to fill up first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0


class Kind(Enum):
    """What is counted."""

    REQUESTS = auto()
    TOKENS = auto()
    STRONG_CALLS = auto()
    """Answers of a policy's dearest tier."""
    USD = auto()


@dataclass(frozen=True, slots=True)
class Quota:
    """So much of one kind in a time."""

    name: str
    """As the operator wrote it: `requests_per_minute`. Each of a tenant's has another."""
    kind: Kind
    amount: float
    seconds: float

    @property
    def refill(self) -> float:
        """How much comes in each second."""
        return self.amount / self.seconds


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
class Taken:
    """What became of a claim on several buckets."""

    levels: tuple[float, ...]
    """How much there is of each, afterwards; in the order of the claim."""
    short: int | None = None
    """The first bucket that has not enough; then nothing was taken of any."""


Amounts = Sequence[float | None]
"""One a quota; None for one that is neither asked for nor taken of."""


def take(
    buckets: Sequence[Bucket], quotas: Sequence[Quota], amounts: Amounts, *, now: float, owed: bool
) -> tuple[tuple[Bucket, ...], Taken]:
    """Take amounts of all buckets, or of none.

    Args:
        buckets: One a quota.
        quotas: How they fill.
        amounts: What is taken; negative where it is given back. Of a bucket that is empty or in debt nothing can be
            had, not even nothing.
        now: The time.
        owed: Whether it has been used already, so that it is taken whatever there is.
    """
    full = tuple(bucket.filled(quota, now) for bucket, quota in zip(buckets, quotas, strict=True))
    short = None if owed else _first_short(full, amounts)
    if short is None:
        full = tuple(
            Bucket(each.level - (amount or 0), now) for each, amount in zip(full, amounts, strict=True)
        )
    return full, Taken(tuple(each.level for each in full), short)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a request was let in with."""

    tenant: str
    quotas: Quotas
    claimed: Mapping[Kind, float]
    levels: Mapping[str, float]
    """What is left of each quota, by its name."""

    def spent(self, kind: Kind) -> Quota | None:
        """A quota of this kind of which less than one is left."""
        return next(
            (each for each in self.quotas.all if each.kind is kind and self.levels[each.name] < 1), None
        )


def wait_for(quota: Quota, level: float, amount: float) -> float:
    """Seconds until a bucket has so much, or is full."""
    return max(0.0, min(amount, quota.amount) - level) / quota.refill


def _first_short(buckets: Sequence[Bucket], amounts: Amounts) -> int | None:
    for index, (bucket, amount) in enumerate(zip(buckets, amounts, strict=True)):
        if amount is not None and (bucket.level < amount or bucket.level <= 0):
            return index
    return None
