"""Who may use how much: quotas are claimed before a request, and settled with what it really took.

The shared store has the buckets; each replica has a little of each in hand (`purse.py`), so that most requests ask
nobody. Those of one tenant that have to ask do so together, one question at a time, so that what a replica says of its
slots comes in order. While the store is away each replica keeps the quotas by itself, with buckets that were full when
it began to: n replicas then let through n times as much at most.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, NamedTuple, Self

from steersman.router.holdings import Use
from steersman.router.ports import QuotaStore, StoreUnavailable
from steersman.router.purse import ASK_AGAIN_SECONDS, Allowance, Claims, Purse
from steersman.router.quotas import LEASE, Ask, Bucket, Kind, Quota, Quotas, Taken, take, wait_for
from steersman.runtime.errors import Overloaded

_LEAST_USD: Final = 1e-3
"""Of money, of which nothing is claimed, any amount above nothing will do."""
_SOONEST_SECONDS: Final = 0.1
_TELL_SECONDS: Final = 0.1
"""Pause between two times at which the store is told what was used."""
_RENEW_SECONDS: Final = LEASE / 5


@dataclass(slots=True)
class LocalQuotas:
    """Buckets of this process alone; implements `steersman.router.ports.QuotaStore`.

    Args:
        clock: Seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, Quota], Bucket] = field(default_factory=dict)

    async def take(self, tenant: str, asks: tuple[Ask, ...]) -> Taken:
        """See `steersman.router.ports.QuotaStore`."""
        now = self.clock()
        known = [self._buckets.get((tenant, ask.quota), Bucket(ask.quota.amount, now)) for ask in asks]
        after, taken = take(known, asks, now=now)
        self._buckets |= {(tenant, ask.quota): bucket for ask, bucket in zip(asks, after, strict=True)}
        return taken


class _Waiting(NamedTuple):
    """A request that waits; what it claims goes by the quotas that are in force when it is let in."""

    tokens: int
    allowed: asyncio.Future[Allowance]


@dataclass(slots=True)
class _Desk:
    """Where a tenant's requests wait that cannot be let in by what is in hand."""

    purse: Purse
    waiting: deque[_Waiting] = field(default_factory=deque)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    serving: asyncio.Task[None] | None = None

    @property
    def claims(self) -> list[Claims]:
        """What is waited for."""
        return [self.purse.claims(each.tokens) for each in self.waiting if not each.allowed.done()]

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with it."""
        return self.purse.empty and not self.waiting and self.serving is None

    def due(self, now: float, with_news: Collection[str]) -> bool:
        """Whether the store has to be told something, if only that this replica still has its slots."""
        return self.purse.tenant in with_news or now - self.purse.told_at >= _RENEW_SECONDS


class Limiter:
    """Claims and settles; leaving its context gives back what is in hand.

    Args:
        store: Where all replicas' buckets are.
        local: Where this one's are while that is away.
        on_refused: Told the name of the quota that refused a request.
        on_local: Told each time that the store was done without.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        store: QuotaStore,
        local: LocalQuotas,
        on_refused: Callable[[str], None],
        on_local: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._local = local
        self._on_refused = on_refused
        self._on_local = on_local
        self._clock = clock
        self._desks: dict[str, _Desk] = {}
        self._news: set[str] = set()
        self._has_news = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is being asked for ends within the store's time to answer; whatever it brings goes back.
        serving = [desk.serving for desk in self._desks.values() if desk.serving is not None]
        await asyncio.gather(*serving, return_exceptions=True)
        await self._tell(list(self._desks.values()), keep=False)

    async def admit(self, tenant: str, quotas: Quotas, *, tokens: int) -> Allowance | None:
        """Let a request in; None where its tenant has no quotas. What is let in has to be settled.

        Args:
            tenant: Whose request it is.
            quotas: The tenant's.
            tokens: Estimate of what it takes, its longest answer included.

        Raises:
            Overloaded: Too little is left of one of them; says which, and when there is enough.
        """
        if not quotas.all:
            return None
        desk, now = self._desk(tenant, quotas), self._clock()
        purse = desk.purse
        claims = purse.claims(tokens)
        if purse.covers(claims, now):
            if now - purse.told_at >= ASK_AGAIN_SECONDS:
                self._has_news_of(tenant)
            return purse.draw(claims, now)
        if (short := purse.short(claims, now)) is not None:
            raise self._refusal(purse, short, now, claims[short])
        return await self._asked(desk, tokens)

    def refuse(self, short: int, allowance: Allowance) -> Overloaded:
        """The error for a request that cannot have one of what a quota allows.

        Args:
            short: The quota, by its place.
            allowance: What the request was let in with.
        """
        return self._refusal(allowance.purse, short, self._clock(), 1.0)

    def settle(self, allowance: Allowance, *, tokens: float, usd: float, strong: bool) -> None:
        """Put right what was claimed, and give the slot back; others hear of it soon.

        Args:
            allowance: What the request was let in with.
            tokens: What it took.
            usd: What it cost.
            strong: Whether the dearest tier answered.
        """
        purse = allowance.purse
        purse.settle(Use(tokens - allowance.tokens, usd, strong))
        if purse.news:
            self._has_news_of(purse.tenant)

    async def keep_told(self) -> None:
        """Tell the store what was used and what is not needed, again and again; for a background task."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_SECONDS):
                    await self._has_news.wait()
            await asyncio.sleep(_TELL_SECONDS)
            self._has_news.clear()
            names, self._news = self._news, set()
            now = self._clock()
            await self._tell([desk for desk in self._desks.values() if desk.due(now, names)])

    async def tell(self) -> None:
        """Tell the store everything now."""
        await self._tell(list(self._desks.values()))

    def _has_news_of(self, tenant: str) -> None:
        self._news.add(tenant)
        self._has_news.set()

    async def _tell(self, desks: Sequence[_Desk], *, keep: bool = True) -> None:
        for desk in desks:
            if desk.idle:
                self._desks.pop(desk.purse.tenant, None)
                continue
            async with desk.asking:
                await self._ask(desk.purse, desk.purse.asks((), keep=keep))

    def _desk(self, tenant: str, quotas: Quotas) -> _Desk:
        found = self._desks.get(tenant)
        if found is None:
            found = self._desks[tenant] = _Desk(Purse(tenant, quotas))
        elif found.purse.quotas is not quotas:
            found.purse.adopt(quotas)
        return found

    async def _asked(self, desk: _Desk, tokens: int) -> Allowance:
        """What the store lets a request in with, which is asked for together with all that wait."""
        allowed: asyncio.Future[Allowance] = asyncio.get_running_loop().create_future()
        desk.waiting.append(_Waiting(tokens, allowed))
        if desk.serving is None:
            desk.serving = asyncio.create_task(self._serve(desk), name="asking for quotas")
        try:
            return await allowed
        except asyncio.CancelledError:
            if allowed.done() and not allowed.cancelled() and allowed.exception() is None:
                self.settle(allowed.result(), tokens=0.0, usd=0.0, strong=False)
            raise

    async def _serve(self, desk: _Desk) -> None:
        """Ask until nobody waits."""
        try:
            while claims := desk.claims:
                async with desk.asking:
                    await self._ask(desk.purse, desk.purse.asks(claims))
                self._answer(desk, self._clock())
        finally:
            desk.serving = None
            for each in desk.waiting:  # nobody, unless this has failed
                each.allowed.cancel()

    def _answer(self, desk: _Desk, now: float) -> None:
        """Let in or refuse who waits, in order, as far as can be told; of the others the first is asked for next."""
        later, purse = deque[_Waiting](), desk.purse
        for each in desk.waiting:
            if each.allowed.done():
                continue
            claims = purse.claims(each.tokens)
            if (short := purse.short(claims, now)) is not None:
                each.allowed.set_exception(self._refusal(purse, short, now, claims[short]))
            elif purse.holds(claims):
                each.allowed.set_result(purse.draw(claims, now))
            else:
                later.append(each)
        desk.waiting = later

    async def _ask(self, purse: Purse, asks: tuple[Ask, ...]) -> None:
        try:
            taken = await self._store.take(purse.tenant, asks)
        except StoreUnavailable:
            self._on_local()
            taken = await self._local.take(purse.tenant, asks)
        purse.took(asks, taken, self._clock())

    def _refusal(self, purse: Purse, short: int, now: float, claim: float | None) -> Overloaded:
        quota = purse.quotas.all[short]
        self._on_refused(quota.name)
        seconds = wait_for(quota, purse.left(short, now), claim or _LEAST_USD)
        at_once = quota.kind is Kind.RUNNING
        return Overloaded(
            f"the tenant's {quota.name} of {quota.amount:.15g} are {'in progress' if at_once else 'used up'}",
            reason=quota.name.upper(),
            retry_after_seconds=max(seconds, _SOONEST_SECONDS),
        )
