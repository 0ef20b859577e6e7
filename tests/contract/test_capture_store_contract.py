"""What Steersman relies on in the store of captured prompts, asked of the fake one and of a real Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio

from fakes.captures import FakeCaptureStore
from fixtures.real_parts import StartValkey, Valkey
from steersman.captures.place import Place, mark_of
from steersman.router.adapters.redis_captures import Keep, RedisCaptures
from steersman.router.ports import CaptureStore, SealedPrompt, StoreUnavailable

ADA, BOB = mark_of("ada"), mark_of("bob")
DAY = 86_400


def prompt(number: int, *, tenant: str = "search", mark: str = ADA, size: int = 100) -> SealedPrompt:
    return SealedPrompt(Place(tenant, mark, f"{number:032x}"), bytes(size))


class CaptureStoreContract:
    """The suite; a subclass says which store is the `subject`: one that takes 10 prompts of a tenant."""

    async def test_as_many_are_stored_as_a_tenant_may_have(self, subject: CaptureStore) -> None:
        assert await subject.add("search", [prompt(number) for number in range(8)]) == 8
        assert await subject.add("search", [prompt(number) for number in range(8, 16)]) == 2
        assert await subject.add("search", [prompt(99)]) == 0

    async def test_each_tenant_has_its_own_part(self, subject: CaptureStore) -> None:
        await subject.add("search", [prompt(number) for number in range(10)])
        assert await subject.add("mail", [prompt(1, tenant="mail")]) == 1

    async def test_what_is_stored_twice_is_there_once(self, subject: CaptureStore) -> None:
        for _ in range(12):
            assert await subject.add("search", [prompt(1)]) == 1
        assert await subject.add("search", [prompt(number) for number in range(2, 12)]) == 9


class TestFake(CaptureStoreContract):
    @pytest.fixture
    def subject(self) -> FakeCaptureStore:
        return FakeCaptureStore(most=10)


@asynccontextmanager
async def a_store(
    valkey: Valkey,
    *,
    seconds: int = DAY,
    entries: int = 10,
    size: int = 100_000,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[RedisCaptures]:
    async with RedisCaptures(valkey.url, timeout=5.0, keep=Keep(seconds, entries, size), now=now) as store:
        yield store


class TestRedis(CaptureStoreContract):
    @pytest.fixture
    async def raw(self, valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
        async with redis.asyncio.from_url(valkey.url) as raw:
            await raw.flushdb()
            yield raw
            await raw.flushdb()

    @pytest.fixture
    async def subject(self, valkey: Valkey, raw: redis.asyncio.Redis) -> AsyncIterator[RedisCaptures]:
        del raw
        async with a_store(valkey) as store:
            yield store

    async def test_all_that_was_stored_is_found_by_tenant_and_by_caller(self, subject: RedisCaptures) -> None:
        await subject.add("search", [prompt(1), prompt(2, mark=BOB)])
        await subject.add("mail", [prompt(3, tenant="mail")])
        assert await found(subject) == {("search", 1), ("search", 2), ("mail", 3)}
        assert await found(subject, tenant="search") == {("search", 1), ("search", 2)}
        assert await found(subject, mark=ADA) == {("search", 1), ("mail", 3)}
        assert await found(subject, tenant="search", mark=BOB) == {("search", 2)}

    async def test_a_tenants_bytes_are_bounded_too(self, subject: RedisCaptures, valkey: Valkey) -> None:
        del subject
        async with a_store(valkey, size=1000) as store:
            assert (
                await store.add("search", [prompt(1, size=600), prompt(2, size=500), prompt(3, size=100)])
                == 1
            )
            assert await store.add("search", [prompt(4, size=400)]) == 1
            assert await store.add("search", [prompt(5, size=1)]) == 0

    async def test_bounds_hold_over_all_of_the_time_that_is_kept(
        self, subject: RedisCaptures, valkey: Valkey
    ) -> None:
        del subject
        noon = time.time() // 3600 * 3600
        for hours, stored in ((-20, 6), (-10, 4), (0, 0)):
            async with a_store(valkey, now=lambda at=noon + hours * 3600: at) as store:  # type: ignore[misc]
                assert await store.add("search", [prompt(hours * 100 + 5000 + n) for n in range(6)]) == stored

    async def test_how_much_there_is_is_told_by_tenant(self, subject: RedisCaptures) -> None:
        await subject.add("search", [prompt(1), prompt(2, size=50)])
        await subject.add("mail", [prompt(3, tenant="mail")])
        mail, search = await subject.held()
        assert (mail.tenant, mail.prompts, mail.size) == ("mail", 1, 100)
        assert (search.tenant, search.prompts, search.size) == ("search", 2, 150)
        assert time.time() - 3600 < search.since <= time.time()

    async def test_a_tenants_are_deleted_and_no_others(self, subject: RedisCaptures) -> None:
        await subject.add("search", [prompt(1), prompt(2, mark=BOB)])
        await subject.add("mail", [prompt(3, tenant="mail")])
        assert await subject.delete(tenant="search", mark=None) == 2
        assert await found(subject) == {("mail", 3)}

    async def test_a_callers_are_deleted_and_no_others_and_make_room(self, subject: RedisCaptures) -> None:
        await subject.add("search", [prompt(1), prompt(2, mark=BOB)])
        await subject.add("mail", [prompt(3, tenant="mail")])
        assert await subject.delete(tenant="search", mark=ADA) == 1
        assert await found(subject) == {("search", 2), ("mail", 3)}
        held = [(each.tenant, each.prompts, each.size) for each in await subject.held()]
        assert held == [("mail", 1, 100), ("search", 1, 100)]
        assert await subject.delete(tenant=None, mark=ADA) == 1
        assert await found(subject) == {("search", 2)}

    async def test_nothing_is_left_of_one_whose_last_prompt_is_deleted(
        self, subject: RedisCaptures, raw: redis.asyncio.Redis
    ) -> None:
        await subject.add("search", [prompt(1)])
        await subject.delete(tenant=None, mark=ADA)
        assert await raw.dbsize() == 0

    async def test_no_prompt_is_kept_for_longer_than_was_said(
        self, subject: RedisCaptures, raw: redis.asyncio.Redis
    ) -> None:
        await subject.add("search", [prompt(1)])
        (key,) = await raw.keys()
        assert DAY * 23 / 24 - 5 < await raw.ttl(key) <= DAY

    async def test_what_has_expired_is_gone_for_good(self, raw: redis.asyncio.Redis, valkey: Valkey) -> None:
        async with a_store(valkey, seconds=2) as store:
            await store.add("search", [prompt(1)])
            assert await found(store)
            async with asyncio.timeout(5):
                while await raw.dbsize():  # noqa: ASYNC110 - it tells when asked
                    await asyncio.sleep(0.05)
            assert await store.held() == []

    async def test_what_is_not_ours_is_passed_over(
        self, subject: RedisCaptures, raw: redis.asyncio.Redis
    ) -> None:
        await raw.set("steersman:capture:1:search:soon", "x")
        await raw.set("steersman:score:1:x", "x")
        assert await found(subject) == set()
        assert await subject.delete(tenant="search", mark=None) == 0

    async def test_routers_that_write_at_once_keep_to_the_bounds_together(
        self, subject: RedisCaptures, valkey: Valkey
    ) -> None:
        async with a_store(valkey) as other:
            added = await asyncio.gather(
                *(
                    store.add("search", [prompt(number * 2 + offset)])
                    for number in range(20)
                    for offset, store in enumerate((subject, other))
                )
            )
        assert sum(added) == 10


async def test_a_store_that_is_gone_is_unavailable(start_valkey: StartValkey) -> None:
    valkey = await start_valkey()
    async with a_store(valkey) as store:
        await valkey.process.stop()
        with pytest.raises(StoreUnavailable):
            await store.add("search", [prompt(1)])
        with pytest.raises(StoreUnavailable):
            await store.held()
        with pytest.raises(StoreUnavailable):
            await found(store)


async def found(store: RedisCaptures, **whose: Any) -> set[tuple[str, int]]:
    """Tenant and number of all prompts that there are."""
    asked = {"tenant": None, "mark": None, **whose}
    return {(each.place.tenant, int(each.place.decision_id, 16)) async for each in store.prompts(**asked)}
