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
from steersman.router.quotas import Kind, Quota
from steersman.runtime.breaker import Breaker

SLOW = Quota("requests_per_minute", Kind.REQUESTS, 10.0, 3600.0)
"""Fills so slowly that a test does not see it."""
MONEY = Quota("usd_per_day", Kind.USD, 2.0, 86_400.0)
FAST = Quota("tokens_per_minute", Kind.TOKENS, 100.0, 0.2)
"""Fills within a fifth of a second."""
ABOUT = pytest.approx


class QuotaStoreContract:
    """The suite; a subclass says which store is the `subject`."""

    async def took(
        self, subject: QuotaStore, *amounts: float | None, owed: bool = False, tenant: str = "team"
    ) -> tuple[Any, int | None]:
        """Levels afterwards, and which bucket had not enough."""
        taken = await subject.take(tenant, (SLOW, MONEY)[: len(amounts)], amounts, owed=owed)
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
        await subject.take("team", (FAST,), (100.0,), owed=False)
        async with asyncio.timeout(5):
            while (await subject.take("team", (FAST,), (60.0,), owed=False)).short is not None:  # noqa: ASYNC110 - it tells when asked
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # longer than it takes to fill
        assert (await subject.take("team", (FAST,), (None,), owed=False)).levels == ABOUT((100.0,))

    async def test_a_smaller_quota_holds_at_once(self, subject: QuotaStore) -> None:
        await self.took(subject, 1.0)
        smaller = Quota(SLOW.name, SLOW.kind, 5.0, 3600.0)
        assert (await subject.take("team", (smaller,), (6.0,), owed=False)).short == 0

    async def test_many_who_take_at_once_never_get_more_than_there_is(self, subject: QuotaStore) -> None:
        taken = await asyncio.gather(*(self.took(subject, 1.0) for _ in range(40)))
        assert sum(short is None for _, short in taken) == 10


class TestLocal(QuotaStoreContract):
    @pytest.fixture
    def subject(self) -> LocalQuotas:
        return LocalQuotas()


class TestRedis(QuotaStoreContract):
    @pytest.fixture
    async def subject(self, valkey: Valkey) -> AsyncIterator[RedisQuotas]:
        async with (
            redis.asyncio.from_url(valkey.url) as raw,
            RedisQuotas(valkey.url, timeout=5.0, breaker=Breaker(threshold=3, cooldown=0.2)) as store,
        ):
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
        breaker = Breaker(threshold=3, cooldown=0.2)
        async with RedisQuotas(valkey.url, timeout=5.0, breaker=breaker) as other:
            await self.took(subject, 6.0)
            assert (await self.took(other, 6.0))[1] == 0


async def test_a_store_that_is_gone_is_unavailable_and_soon_not_asked_any_more(
    start_valkey: StartValkey,
) -> None:
    valkey = await start_valkey()
    breaker = Breaker(threshold=3, cooldown=60.0)
    async with RedisQuotas(valkey.url, timeout=0.5, breaker=breaker) as store:
        await valkey.process.stop()
        started = time.perf_counter()
        for _ in range(50):
            with pytest.raises(StoreUnavailable):
                await store.take("team", (SLOW,), (1.0,), owed=False)
        assert time.perf_counter() - started < 10
