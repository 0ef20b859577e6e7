"""Who may use how much: quotas are claimed before a request, and settled with what it really took.

The buckets are in Redis, where all replicas take from them in one round trip. While Redis is away each replica keeps
the quotas by itself, with buckets that were full when it began to: n replicas then let through n times as much at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from steersman.router.ports import QuotaStore, StoreUnavailable
from steersman.router.quotas import Allowance, Amounts, Bucket, Kind, Quota, Quotas, Taken, take, wait_for
from steersman.runtime.errors import Overloaded

_QUEUE: Final = 4096
"""Requests whose use waits to be settled; of more the claim stands as it is."""
_LEAST_USD: Final = 1e-3
_SOONEST_SECONDS: Final = 0.1


@dataclass(slots=True)
class LocalQuotas:
    """Buckets of this process alone; implements `steersman.router.ports.QuotaStore`.

    Args:
        clock: Seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, Quota], Bucket] = field(default_factory=dict)

    async def take(self, tenant: str, quotas: tuple[Quota, ...], amounts: Amounts, *, owed: bool) -> Taken:
        """See `steersman.router.ports.QuotaStore`."""
        now = self.clock()
        known = [self._buckets.get((tenant, quota), Bucket(quota.amount, now)) for quota in quotas]
        after, taken = take(known, quotas, amounts, now=now, owed=owed)
        self._buckets |= {(tenant, quota): bucket for quota, bucket in zip(quotas, after, strict=True)}
        return taken


@dataclass(frozen=True, slots=True)
class Use:
    """What a request really took."""

    allowance: Allowance
    amounts: Mapping[Kind, float]


class Limiter:
    """Claims and settles.

    Args:
        store: Where all replicas' buckets are.
        local: Where this one's are while that is away.
        on_refused: Told the name of the quota that refused a request.
        on_local: Told each time that the store was done without.
    """

    def __init__(
        self,
        *,
        store: QuotaStore,
        local: LocalQuotas,
        on_refused: Callable[[str], None],
        on_local: Callable[[], None],
    ) -> None:
        self._store = store
        self._local = local
        self._on_refused = on_refused
        self._on_local = on_local
        self._used: asyncio.Queue[Use] = asyncio.Queue(_QUEUE)

    async def admit(self, tenant: str, quotas: Quotas, *, tokens: int) -> Allowance | None:
        """Let a request in; None where its tenant has no quotas.

        Args:
            tenant: Whose request it is.
            quotas: The tenant's.
            tokens: Estimate of what it takes, its longest answer included.

        Raises:
            Overloaded: Too little is left of one of them; says which, and when there is enough.
        """
        if not quotas.all:
            return None
        most = min((each.amount for each in quotas.all if each.kind is Kind.TOKENS), default=float(tokens))
        # Money is asked for and not taken: what a request costs is known when it has been answered.
        claimed = {Kind.REQUESTS: 1.0, Kind.TOKENS: min(float(tokens), most), Kind.USD: 0.0}
        taken = await self._take(tenant, quotas, claimed, owed=False)
        if taken.short is not None:
            short = quotas.all[taken.short]
            self._on_refused(short.name)
            # Of money any amount above nothing will do.
            wanted = claimed.get(short.kind) or _LEAST_USD
            raise _error(short, wait_for(short, taken.levels[taken.short], wanted))
        levels = {quota.name: level for quota, level in zip(quotas.all, taken.levels, strict=True)}
        return Allowance(tenant, quotas, claimed, levels)

    def refuse(self, quota: Quota, allowance: Allowance) -> Overloaded:
        """The error for a request that cannot have one of what a quota allows."""
        self._on_refused(quota.name)
        return _error(quota, wait_for(quota, allowance.levels[quota.name], 1.0))

    def settle(self, allowance: Allowance, *, tokens: float | None, usd: float, strong: bool) -> None:
        """Put right what was claimed, soon and off the request's path.

        Args:
            allowance: What the request was let in with.
            tokens: What it took; None where nobody knows, so that the estimate stands.
            usd: What it cost.
            strong: Whether the dearest tier answered.
        """
        more = 0.0 if tokens is None else tokens - allowance.claimed[Kind.TOKENS]
        amounts = {Kind.TOKENS: more, Kind.USD: usd, Kind.STRONG_CALLS: float(strong)}
        if any(amounts[quota.kind] for quota in allowance.quotas.all if quota.kind in amounts):
            try:
                self._used.put_nowait(Use(allowance, amounts))
            except asyncio.QueueFull:
                self._on_local()

    async def write(self) -> None:
        """Settle what waits, again and again; for a background task."""
        while True:
            await self.settle_next()

    async def settle_next(self) -> None:
        """Settle what has waited longest, or what comes next."""
        use = await self._used.get()
        await self._take(use.allowance.tenant, use.allowance.quotas, use.amounts, owed=True)

    async def _take(self, tenant: str, quotas: Quotas, amounts: Mapping[Kind, float], *, owed: bool) -> Taken:
        ordered = tuple(amounts.get(quota.kind) for quota in quotas.all)
        try:
            return await self._store.take(tenant, quotas.all, ordered, owed=owed)
        except StoreUnavailable:
            self._on_local()
            return await self._local.take(tenant, quotas.all, ordered, owed=owed)


def _error(quota: Quota, seconds: float) -> Overloaded:
    return Overloaded(
        f"the tenant's {quota.name} of {quota.amount:g} are used up",
        reason=quota.name.upper(),
        retry_after_seconds=max(seconds, _SOONEST_SECONDS),
    )
