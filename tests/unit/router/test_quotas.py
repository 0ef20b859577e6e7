from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from steersman.router.limiting import Limiter, LocalQuotas
from steersman.router.ports import StoreUnavailable
from steersman.router.quotas import (
    DAY,
    HOUR,
    MINUTE,
    Allowance,
    Amounts,
    Bucket,
    Kind,
    Quota,
    Quotas,
    Taken,
    take,
    wait_for,
)
from steersman.runtime.errors import Overloaded

REQUESTS = Quota("requests_per_minute", Kind.REQUESTS, 60.0, MINUTE)
TOKENS = Quota("tokens_per_minute", Kind.TOKENS, 1000.0, MINUTE)
STRONG = Quota("strong_calls_per_hour", Kind.STRONG_CALLS, 2.0, HOUR)
MONEY = Quota("usd_per_day", Kind.USD, 1.0, DAY)

amounts = st.floats(0.1, 100)


@given(amounts, amounts, st.floats(0, 1000), amounts)
def test_a_bucket_never_holds_more_than_its_quota(
    amount: float, seconds: float, later: float, claim: float
) -> None:
    quota = Quota("any", Kind.REQUESTS, amount, seconds)
    _, taken = take([Bucket(amount, 0.0)], [quota], [claim], now=later, owed=False)
    assert taken.levels[0] <= amount


@given(st.lists(st.tuples(amounts, st.floats(0, 10)), max_size=30))
def test_in_any_time_no_more_is_let_through_than_a_full_bucket_and_what_came_in(
    claims: list[tuple[float, float]],
) -> None:
    bucket, now, through = Bucket(REQUESTS.amount, 0.0), 0.0, 0.0
    for claim, pause in claims:
        now += pause
        (bucket,), taken = take([bucket], [REQUESTS], [claim], now=now, owed=False)
        through += claim if taken.short is None else 0.0
    assert through <= REQUESTS.amount + now * REQUESTS.refill + 1e-6


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    (bucket,), _ = take([Bucket(5.0, 100.0)], [REQUESTS], [None], now=40.0, owed=False)
    assert bucket.level == 5.0


def test_the_wait_ends_when_there_is_enough() -> None:
    assert wait_for(REQUESTS, level=0.25, amount=1.0) == pytest.approx(0.75)
    assert wait_for(REQUESTS, level=5.0, amount=1.0) == 0.0
    assert wait_for(REQUESTS, level=0.0, amount=600.0) == pytest.approx(
        60.0
    )  # full is all that there will be


@dataclass
class Shared:
    """The store of all replicas, which may be away."""

    clock: FakeClock
    away: bool = False

    def __post_init__(self) -> None:
        self.quotas = LocalQuotas(self.clock)

    async def take(self, tenant: str, quotas: tuple[Quota, ...], amounts: Amounts, *, owed: bool) -> Taken:
        if self.away:
            raise StoreUnavailable
        return await self.quotas.take(tenant, quotas, amounts, owed=owed)


@dataclass
class Desk:
    """A limiter, and what it told."""

    clock: FakeClock = field(default_factory=FakeClock)
    refused: list[str] = field(default_factory=list)
    alone: list[None] = field(default_factory=list)
    """An entry for each claim that was decided without the shared store."""

    def __post_init__(self) -> None:
        self.store = Shared(self.clock)
        self.limiter = Limiter(
            store=self.store,
            local=LocalQuotas(self.clock),
            on_refused=self.refused.append,
            on_local=lambda: self.alone.append(None),
        )

    async def admit(self, *quotas: Quota, tokens: int = 10) -> Allowance:
        allowance = await self.limiter.admit("team", Quotas(quotas), tokens=tokens)
        assert allowance is not None
        return allowance

    async def refusal(self, *quotas: Quota, tokens: int = 10) -> Overloaded:
        with pytest.raises(Overloaded) as told:
            await self.admit(*quotas, tokens=tokens)
        return told.value

    async def use(
        self, *quotas: Quota, tokens: float | None = 10, usd: float = 0.0, strong: bool = False
    ) -> None:
        """Let a request in, and settle it with this."""
        self.limiter.settle(await self.admit(*quotas), tokens=tokens, usd=usd, strong=strong)
        await asyncio.wait_for(self.limiter.settle_next(), 5)


async def test_a_tenant_without_quotas_is_let_in_and_nobody_is_asked() -> None:
    desk = Desk()
    desk.store.away = True
    assert await desk.limiter.admit("team", Quotas(), tokens=10**9) is None
    assert desk.alone == []


async def test_requests_over_the_quota_are_refused_with_its_name_and_a_time() -> None:
    desk = Desk()
    for _ in range(60):
        await desk.admit(REQUESTS)
    refusal = await desk.refusal(REQUESTS)
    assert refusal.reason == "REQUESTS_PER_MINUTE"
    assert refusal.retry_after_seconds == pytest.approx(1.0)
    assert desk.refused == ["requests_per_minute"]
    desk.clock.advance(1.0)
    await desk.admit(REQUESTS)


async def test_tokens_are_claimed_by_estimate_and_settled_by_what_was_used() -> None:
    desk = Desk()
    await desk.use(TOKENS, tokens=995)
    assert (await desk.refusal(TOKENS)).reason == "TOKENS_PER_MINUTE"
    desk = Desk()
    await desk.admit(TOKENS, tokens=990)
    assert (await desk.refusal(TOKENS, tokens=20)).reason == "TOKENS_PER_MINUTE"


async def test_an_estimate_stands_where_nobody_knows_what_was_used() -> None:
    desk = Desk()
    allowance = await desk.admit(TOKENS, tokens=600)
    desk.limiter.settle(allowance, tokens=None, usd=0.0, strong=False)
    assert (await desk.admit(TOKENS)).levels["tokens_per_minute"] == pytest.approx(390)


async def test_a_request_that_may_take_more_than_a_whole_quota_is_let_in_when_that_is_full() -> None:
    desk = Desk()
    assert (await desk.admit(TOKENS, tokens=5000)).levels["tokens_per_minute"] == 0.0
    assert (await desk.refusal(TOKENS, tokens=5000)).retry_after_seconds == pytest.approx(60.0)


async def test_money_is_asked_for_before_and_taken_afterwards() -> None:
    desk = Desk()
    await desk.use(MONEY, usd=0.6)
    await desk.use(MONEY, usd=0.6)
    assert (await desk.refusal(MONEY)).reason == "USD_PER_DAY"
    desk.clock.advance(0.21 * DAY)
    await desk.admit(MONEY)


async def test_calls_of_the_dearest_tier_are_counted_and_keep_nobody_out() -> None:
    desk = Desk()
    for _ in range(2):
        assert (await desk.admit(STRONG)).spent(Kind.STRONG_CALLS) is None
        await desk.use(STRONG, strong=True)
    assert (await desk.admit(STRONG)).spent(Kind.STRONG_CALLS) == STRONG


async def test_while_the_shared_store_is_away_a_replica_keeps_the_quotas_by_itself() -> None:
    desk = Desk()
    desk.store.away = True
    for _ in range(60):
        await desk.admit(REQUESTS)
    assert (await desk.refusal(REQUESTS)).reason == "REQUESTS_PER_MINUTE"
    assert len(desk.alone) == 61
    desk.store.away = False
    await desk.admit(REQUESTS)


async def test_what_needs_no_settling_is_not_settled() -> None:
    desk = Desk()
    desk.limiter.settle(await desk.admit(REQUESTS, TOKENS), tokens=10, usd=0.5, strong=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(desk.limiter.settle_next(), 0.01)
