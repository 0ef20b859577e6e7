"""What Steersman relies on in the buckets of quotas, asked of this process's own and of those in a real Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from fixtures.real_parts import StartValkey, Valkey
from steersman.router.adapters.redis_quotas import RedisQuotas
from steersman.router.limiting import LocalQuotas
from steersman.router.ports import QuotaStore, StoreUnavailable
from steersman.router.quotas import LEASE, Ask, Kind, Quota
from steersman.runtime.breaker import Breaker

SLOW = Quota("requests_per_minute", Kind.REQUESTS, 10.0, 3600.0)
"""Fills so slowly that a test does not see it."""
MONEY = Quota("usd_per_day", Kind.USD, 2.0, 86_400.0)
FAST = Quota("tokens_per_minute", Kind.TOKENS, 100.0, 0.2)
"""Fills within a fifth of a second."""
SLOTS = Quota("concurrent_requests", Kind.RUNNING, 3.0, LEASE)
ABOUT = pytest.approx


def replica(valkey: Valkey, name: str) -> RedisQuotas:
    """One router's way to the buckets."""
    return RedisQuotas(valkey.url, replica=name, timeout=5.0, breaker=Breaker(threshold=3, cooldown=0.2))


class QuotaStoreContract:
    """The suite; a subclass says which store is the `subject`."""

    async def took(
        self, subject: QuotaStore, *amounts: float | None, owed: bool = False, tenant: str = "team"
    ) -> tuple[Any, int | None]:
        """Levels afterwards, and which bucket had not enough."""
        asks = (
            Ask(quota, owed=amount or 0.0) if owed else Ask(quota, claim=amount)
            for quota, amount in zip((SLOW, MONEY), amounts, strict=False)
        )
        taken = await subject.take(tenant, tuple(asks))
        return taken.levels, taken.short

    async def test_a_bucket_is_full_at_first_and_what_is_taken_is_gone(self, subject: QuotaStore) -> None:
        assert await self.took(subject, 3.0) == (ABOUT((7.0,), abs=0.1), None)
        assert await self.took(subject, 4.0) == (ABOUT((3.0,), abs=0.1), None)

    async def test_more_than_there_is_cannot_be_had_and_nothing_is_taken(self, subject: QuotaStore) -> None:
        await self.took(subject, 8.0)
        assert await self.took(subject, 3.0) == (ABOUT((2.0,), abs=0.1), 0)
        assert (await self.took(subject, 2.0))[1] is None

    async def test_of_several_buckets_all_give_or_none(self, subject: QuotaStore) -> None:
        taken = await self.took(subject, 1.0, 5.0)
        assert taken == (ABOUT((10.0, 2.0), abs=0.1), 1)
        assert (await self.took(subject, 0.5, 0.0))[0] == ABOUT((9.5, 2.0), abs=0.1)

    async def test_what_is_not_asked_for_is_left_alone_even_where_it_is_spent(
        self, subject: QuotaStore
    ) -> None:
        await self.took(subject, 1.0, 3.0, owed=True)
        assert (await self.took(subject, 1.0, None))[1] is None
        assert (await self.took(subject, None, 0.0))[1] == 1

    async def test_what_is_owed_is_taken_whatever_there_is(self, subject: QuotaStore) -> None:
        assert (await self.took(subject, 25.0, owed=True))[0] == ABOUT((-15.0,), abs=0.1)
        assert (await self.took(subject, 0.0))[1] == 0

    async def test_what_is_given_back_is_there_again(self, subject: QuotaStore) -> None:
        await self.took(subject, 10.0)
        await self.took(subject, -6.0, owed=True)
        assert (await self.took(subject, 5.0))[1] is None

    async def test_tenants_have_buckets_of_their_own(self, subject: QuotaStore) -> None:
        await self.took(subject, 10.0)
        assert (await self.took(subject, 10.0, tenant="other"))[1] is None

    async def test_a_bucket_fills_up_and_never_over(self, subject: QuotaStore) -> None:
        await subject.take("team", (Ask(FAST, claim=100.0),))
        async with asyncio.timeout(5):
            while (await subject.take("team", (Ask(FAST, claim=60.0),))).short is not None:  # noqa: ASYNC110 - it tells when asked
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # longer than it takes to fill
        assert (await subject.take("team", (Ask(FAST),))).levels == ABOUT((100.0,))

    async def test_a_smaller_quota_holds_at_once(self, subject: QuotaStore) -> None:
        await self.took(subject, 1.0)
        smaller = Quota(SLOW.name, SLOW.kind, 5.0, 3600.0)
        assert (await subject.take("team", (Ask(smaller, claim=6.0),))).short == 0

    async def test_many_who_take_at_once_never_get_more_than_there_is(self, subject: QuotaStore) -> None:
        taken = await asyncio.gather(*(self.took(subject, 1.0) for _ in range(40)))
        assert sum(short is None for _, short in taken) == 10

    async def test_an_extra_is_as_much_as_there_is_in_whole_numbers(self, subject: QuotaStore) -> None:
        taken = await subject.take("team", (Ask(SLOW, claim=2.5, extra=4.0), Ask(MONEY, claim=0.0)))
        assert taken.levels == ABOUT((3.5, 2.0), abs=0.1)
        assert taken.extras == (4.0, 0.0)
        taken = await subject.take("team", (Ask(SLOW, claim=1.0, extra=4.0),))
        assert taken.levels == ABOUT((0.5,), abs=0.1)
        assert taken.extras == (2.0,)

    async def test_where_a_claim_is_not_met_there_is_no_extra_and_what_was_used_counts(
        self, subject: QuotaStore
    ) -> None:
        taken = await subject.take("team", (Ask(SLOW, owed=4.0, extra=3.0), Ask(MONEY, claim=5.0)))
        assert (taken.short, taken.extras) == (1, (0.0, 0.0))
        assert taken.levels == ABOUT((6.0, 2.0), abs=0.1)

    async def test_slots_are_had_until_all_are_in_use_and_again_when_one_is_not(
        self, subject: QuotaStore
    ) -> None:
        assert (await subject.take("team", (Ask(SLOTS, claim=2.0),))).levels == (1.0,)
        assert (await subject.take("team", (Ask(SLOTS, claim=2.0, held=2.0),))).short == 0
        assert (await subject.take("team", (Ask(SLOTS, claim=1.0, extra=5.0, held=1.0),))).extras == (1.0,)


class TestLocal(QuotaStoreContract):
    @pytest.fixture
    def subject(self) -> LocalQuotas:
        return LocalQuotas()


class TestRedis(QuotaStoreContract):
    @pytest.fixture
    async def subject(self, valkey: Valkey) -> AsyncIterator[RedisQuotas]:
        async with redis.asyncio.from_url(valkey.url) as raw, replica(valkey, "one") as store:
            await raw.flushdb()
            yield store
            await raw.flushdb()

    async def test_no_name_of_a_tenant_is_in_redis_and_buckets_end_when_they_are_full(
        self, subject: RedisQuotas, valkey: Valkey
    ) -> None:
        await self.took(subject, 5.0, tenant="tenant-of-mine")
        async with redis.asyncio.from_url(valkey.url) as raw:
            (name,) = await raw.keys()
            assert b"tenant" not in name
            assert 1790 <= await raw.ttl(name) <= 1810

    async def test_two_replicas_take_of_the_same_buckets(self, subject: RedisQuotas, valkey: Valkey) -> None:
        async with replica(valkey, "other") as other:
            await self.took(subject, 6.0)
            assert (await self.took(other, 6.0))[1] == 0

    async def test_slots_that_one_replica_has_the_other_has_not(
        self, subject: RedisQuotas, valkey: Valkey
    ) -> None:
        async with replica(valkey, "other") as other:
            await subject.take("team", (Ask(SLOTS, claim=2.0),))
            assert (await other.take("team", (Ask(SLOTS, claim=2.0),))).short == 0
            assert (await other.take("team", (Ask(SLOTS, claim=1.0),))).levels == (0.0,)
            await subject.take("team", (Ask(SLOTS, held=0.0),))
            assert (await other.take("team", (Ask(SLOTS, claim=2.0, held=1.0),))).short is None

    async def test_slots_of_a_replica_that_is_not_heard_of_any_more_are_free_again(
        self, subject: RedisQuotas, valkey: Valkey
    ) -> None:
        brief = Quota(SLOTS.name, SLOTS.kind, SLOTS.amount, 0.2)
        async with replica(valkey, "dead") as dead, redis.asyncio.from_url(valkey.url) as raw:
            await dead.take("team", (Ask(brief, claim=3.0),))
            async with asyncio.timeout(5):
                while (await subject.take("team", (Ask(brief, claim=3.0),))).short is not None:  # noqa: ASYNC110 - it tells when asked
                    await asyncio.sleep(0.05)
            (name,) = await raw.keys()
            assert await raw.hkeys(name) == [b"concurrent_requests/one"]

    @pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
    async def test_redis_clock_that_is_set_locks_nobody_out_for_long(
        self, subject: RedisQuotas, valkey: Valkey, set_by: float
    ) -> None:
        now = time.time() - set_by  # what was written before is as far from now as the clock was set
        async with redis.asyncio.from_url(valkey.url) as raw:
            await self.took(subject, 1.0)
            (name,) = await raw.keys()
            await raw.hset(name, mapping={"requests_per_minute": f"5 {now}", "usd_per_day": f"1 {now}"})
            await raw.hset(name, f"{SLOTS.name}/dead", f"3 {now + LEASE}")
        assert (await self.took(subject, 1.0, 0.5))[1] is None
        assert (await subject.take("team", (Ask(SLOTS, claim=3.0),))).short is None
        levels, _ = await self.took(subject, 1.0)
        await asyncio.sleep(0.05)
        assert (await self.took(subject, None))[0][0] >= levels[0]


async def test_a_store_that_is_gone_is_unavailable_and_soon_not_asked_any_more(
    start_valkey: StartValkey,
) -> None:
    valkey = await start_valkey()
    breaker = Breaker(threshold=3, cooldown=60.0)
    async with RedisQuotas(valkey.url, replica="one", timeout=0.5, breaker=breaker) as store:
        await valkey.process.stop()
        started = time.perf_counter()
        for _ in range(50):
            with pytest.raises(StoreUnavailable):
                await store.take("team", (Ask(SLOW, claim=1.0),))
        assert time.perf_counter() - started < 10
