from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from fakes.gate import Gate
from steersman.router.limiting import Limiter, LocalQuotas
from steersman.router.ports import StoreUnavailable
from steersman.router.purse import Allowance
from steersman.router.quotas import (
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    Ask,
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
RUNNING = Quota("concurrent_requests", Kind.RUNNING, 2.0, LEASE)

amounts = st.floats(0.1, 100)


@given(amounts, amounts, st.floats(0, 1000), amounts)
def test_a_bucket_never_holds_more_than_its_quota(
    amount: float, seconds: float, later: float, claim: float
) -> None:
    quota = Quota("any", Kind.REQUESTS, amount, seconds)
    _, taken = take([Bucket(amount, 0.0)], [Ask(quota, claim=claim)], now=later)
    assert taken.levels[0] <= amount


@given(st.lists(st.tuples(amounts, st.floats(0, 10)), max_size=30))
def test_in_any_time_no_more_is_let_through_than_a_full_bucket_and_what_came_in(
    claims: list[tuple[float, float]],
) -> None:
    bucket, now, through = Bucket(REQUESTS.amount, 0.0), 0.0, 0.0
    for claim, pause in claims:
        now += pause
        (bucket,), taken = take([bucket], [Ask(REQUESTS, claim=claim)], now=now)
        through += claim if taken.short is None else 0.0
    assert through <= REQUESTS.amount + now * REQUESTS.refill + 1e-6


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    (bucket,), _ = take([Bucket(5.0, 100.0)], [Ask(REQUESTS)], now=40.0)
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
    asked: int = 0

    def __post_init__(self) -> None:
        self.quotas = LocalQuotas(self.clock)
        self.answers = Gate()
        self.held = 0
        """How often it was told of slots in use."""

    async def take(self, tenant: str, asks: tuple[Ask, ...]) -> Taken:
        self.asked += 1
        self.held += any(ask.held or ask.claim for ask in asks if ask.quota.kind is Kind.RUNNING)
        await self.answers.passed()
        if self.away:
            raise StoreUnavailable
        return await self.quotas.take(tenant, asks)


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
            clock=self.clock,
        )

    async def admit(self, *quotas: Quota, tokens: int = 10, tenant: str = "team") -> Allowance:
        allowance = await self.limiter.admit(tenant, Quotas(quotas), tokens=tokens)
        assert allowance is not None
        return allowance

    async def refusal(self, *quotas: Quota, tokens: int = 10) -> Overloaded:
        with pytest.raises(Overloaded) as told:
            await self.admit(*quotas, tokens=tokens)
        return told.value

    async def use(self, *quotas: Quota, tokens: float = 10, usd: float = 0.0, strong: bool = False) -> None:
        """Let a request in, settle it with this, and tell the store, as a task does in the background."""
        self.limiter.settle(await self.admit(*quotas), tokens=tokens, usd=usd, strong=strong)
        await self.limiter.tell()


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
    assert (await desk.admit(STRONG)).spent(Kind.STRONG_CALLS) == 0


async def test_while_the_shared_store_is_away_a_replica_keeps_the_quotas_by_itself() -> None:
    desk = Desk()
    desk.store.away = True
    for _ in range(60):
        await desk.admit(REQUESTS)
    assert (await desk.refusal(REQUESTS)).reason == "REQUESTS_PER_MINUTE"
    assert len(desk.alone) == 60  # the last was refused by what had been heard
    desk.store.away = False
    desk.clock.advance(0.2)
    await desk.admit(REQUESTS)


async def test_while_there_is_plenty_most_requests_ask_nobody() -> None:
    desk = Desk()
    many = Quota("requests_per_minute", Kind.REQUESTS, 6400.0, MINUTE)
    for _ in range(1000):
        await desk.admit(many)
    assert desk.store.asked < 15
    desk.clock.advance(1.0)
    assert (await desk.admit(many)).levels["requests_per_minute"] == pytest.approx(5400 + 6400 / 60, abs=1.5)


async def test_what_is_in_hand_goes_back_when_it_is_not_needed() -> None:
    desk = Desk()
    many = Quota("requests_per_minute", Kind.REQUESTS, 6400.0, HOUR)
    for _ in range(10):
        await desk.use(many)
    await desk.limiter.tell()
    (level,) = (await desk.store.take("team", (Ask(many),))).levels
    assert level == pytest.approx(6390)


async def test_who_is_refused_is_refused_again_without_asking_for_a_moment() -> None:
    desk = Desk()
    for _ in range(60):
        await desk.admit(REQUESTS)
    await desk.refusal(REQUESTS)
    asked = desk.store.asked
    for _ in range(100):
        await desk.refusal(REQUESTS)
    assert desk.store.asked == asked
    desk.clock.advance(0.2)
    await desk.refusal(REQUESTS)
    assert desk.store.asked == asked + 1


async def test_those_that_have_to_ask_ask_together() -> None:
    desk = Desk()
    admitted = await asyncio.gather(*(desk.admit(REQUESTS) for _ in range(50)))
    assert len(admitted) == 50
    assert desk.store.asked <= 2


async def test_of_those_that_ask_together_as_many_get_in_as_there_is() -> None:
    desk = Desk()
    told = await asyncio.gather(*(desk.admit(REQUESTS) for _ in range(70)), return_exceptions=True)
    assert sum(isinstance(each, Allowance) for each in told) == 60
    assert sum(isinstance(each, Overloaded) for each in told) == 10


async def test_so_many_requests_go_on_at_once_and_one_more_is_refused() -> None:
    desk = Desk()
    first, _ = await desk.admit(RUNNING), await desk.admit(RUNNING)
    refusal = await desk.refusal(RUNNING)
    assert refusal.reason == "CONCURRENT_REQUESTS"
    assert refusal.retry_after_seconds == 1.0
    desk.limiter.settle(first, tokens=0, usd=0.0, strong=False)
    await desk.admit(RUNNING)


async def test_a_slot_is_told_to_be_free_when_its_request_has_ended() -> None:
    desk = Desk()
    await desk.use(RUNNING)
    assert (await desk.store.take("team", (Ask(RUNNING, claim=2.0),))).short is None


async def test_a_slot_of_who_left_while_it_was_asked_for_is_free_again() -> None:
    desk = Desk()
    desk.store.answers.close()
    asking = asyncio.create_task(desk.admit(RUNNING))
    await desk.store.answers.until(waiting=1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    desk.store.answers.open()
    for _ in range(2):
        await desk.admit(RUNNING)
    await desk.refusal(RUNNING)


async def test_slots_go_by_a_new_limit_while_requests_go_on() -> None:
    desk = Desk()
    for _ in range(2):
        await desk.admit(RUNNING)
    wider = Quota(RUNNING.name, RUNNING.kind, 3.0, LEASE)
    await desk.admit(wider)
    await desk.refusal(wider)


async def test_who_waits_while_quotas_change_is_let_in_by_the_new_ones() -> None:
    desk = Desk()
    desk.store.answers.close()
    before = asyncio.create_task(desk.admit(REQUESTS))
    await desk.store.answers.until(waiting=1)
    after = asyncio.create_task(desk.admit(TOKENS, RUNNING, REQUESTS))
    desk.store.answers.open()
    for admitted in (before, after):
        assert set((await admitted).levels) == {
            "tokens_per_minute",
            "requests_per_minute",
            "concurrent_requests",
        }


async def test_leaving_gives_everything_back() -> None:
    desk = Desk()
    many = Quota("requests_per_minute", Kind.REQUESTS, 6400.0, HOUR)
    async with desk.limiter:
        for _ in range(3):
            await desk.admit(many)
    assert (await desk.store.take("team", (Ask(many),))).levels == pytest.approx((6397.0,))


async def test_leaving_waits_for_what_is_being_asked_for_and_gives_that_back_too() -> None:
    desk = Desk()
    quota = Quota("requests_per_minute", Kind.REQUESTS, 10.0, HOUR)
    desk.store.answers.close()
    async with desk.limiter:
        asking = asyncio.create_task(desk.admit(quota))
        await desk.store.answers.until(waiting=1)
        (serving,) = [each for each in asyncio.all_tasks() if each.get_name() == "asking for quotas"]
        asking.cancel()
        asyncio.get_running_loop().call_later(0.05, desk.store.answers.open)
    assert serving.done()
    assert (await desk.store.take("team", (Ask(quota),))).levels == pytest.approx((10.0,))
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_replica_goes_on_saying_that_it_has_its_slots() -> None:
    desk = Desk()
    await desk.admit(RUNNING)
    telling = asyncio.create_task(desk.limiter.keep_told())
    desk.clock.advance(LEASE)
    desk.limiter.settle(await desk.admit(STRONG, tenant="other"), tokens=10, usd=0.0, strong=True)
    async with asyncio.timeout(5):
        while desk.store.held < 2:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
    telling.cancel()
