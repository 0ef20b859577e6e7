"""What Steersman relies on in the score store, asked of the fake one and of a real Valkey."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import redis.asyncio
from redis.exceptions import RedisError

from fakes.classifier import IDENTITY, assessment
from fakes.shared_store import FakeStore
from fixtures.real_parts import StartValkey, Valkey
from steersman.router.adapters.redis import SCORES, SESSIONS, RedisOptions, RedisStore
from steersman.router.model import Assessment, Session
from steersman.router.ports import ScoreStore, StoreUnavailable
from steersman.router.scoring import Key
from steersman.runtime.breaker import Breaker, State
from steersman.runtime.tasks import BackgroundTasks

PATIENT = 5.0
HASTY = 0.1
MANY = 64
PROMPT = "an unmistakable question about albatrosses"


@dataclass
class Subject:
    """A store under test, and what can be done to it."""

    store: ScoreStore
    stop: Callable[[], Awaitable[None]]
    hang: Callable[[], Awaitable[None]]
    restart: Callable[[], Awaitable[None]]


def key(name: object = "key") -> bytes:
    return hashlib.sha256(repr(name).encode()).digest()


def single(number: float) -> float:
    """The nearest number that 32 bits can hold, as Triton gives it."""
    return float(np.float32(number))


async def found(store: ScoreStore, name: object = "key") -> Assessment | None:
    """What is under a key; nothing where the store does not say."""
    try:
        return await store.get(key(name))
    except StoreUnavailable:
        return None


async def stored(store: ScoreStore, name: object = "key") -> Assessment:
    """What is under a key, once it has been written."""
    async with asyncio.timeout(PATIENT):
        while (value := await found(store, name)) is None:  # noqa: ASYNC110 - a store tells only when asked
            await asyncio.sleep(0.002)
        return value


class ScoreStoreContract:
    """The suite; a subclass says which store is the `subject`."""

    async def test_an_unknown_key_has_nothing(self, subject: Subject) -> None:
        assert await subject.store.get(key()) is None

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param(Assessment(single(0.1), single(0.7), single(1 / 3), truncated=False), id="thirds"),
            pytest.param(Assessment(0.0, 0.0, 0.0, truncated=True), id="zeros"),
            pytest.param(Assessment(1.0, 1.0, 1.0, truncated=False), id="ones"),
            pytest.param(Assessment(single(1e-38), single(0.99999994), 0.5, truncated=True), id="edges"),
        ],
    )
    async def test_what_was_put_is_found_to_the_last_bit(self, subject: Subject, given: Assessment) -> None:
        subject.store.put(key(), given)
        assert await stored(subject.store) == given

    async def test_a_missing_win_probability_stays_missing(self, subject: Subject) -> None:
        subject.store.put(key(), assessment(win_probability=math.nan))
        assert math.isnan((await stored(subject.store)).win_probability)

    async def test_each_key_has_its_own(self, subject: Subject) -> None:
        for number in range(20):
            subject.store.put(key(number), assessment(number / 32))
        scores = [(await stored(subject.store, number)).score for number in range(20)]
        assert scores == [number / 32 for number in range(20)]

    async def test_the_last_put_counts(self, subject: Subject) -> None:
        for number in range(5):
            subject.store.put(key(), assessment(number / 8))
        async with asyncio.timeout(5):
            while (await stored(subject.store)).score != 0.5:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.002)

    @pytest.mark.parametrize("name", [bytes(32), b"\r\n" * 16, b"*" * 32, bytes(range(224, 256))])
    async def test_a_key_may_be_any_bytes(self, subject: Subject, name: bytes) -> None:
        subject.store.put(name, assessment(0.5))
        async with asyncio.timeout(5):
            while await subject.store.get(name) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.002)
        assert await subject.store.get(bytes(reversed(name)) + b"x") is None

    async def test_many_may_ask_at_once(self, subject: Subject) -> None:
        subject.store.put(key(), assessment(0.5))
        await stored(subject.store)
        values = await asyncio.gather(*(subject.store.get(key()) for _ in range(MANY)))
        assert [value.score for value in values if value is not None] == [0.5] * MANY


class OwnScoreStoreContract:
    """The part of the suite that breaks its `own` store."""

    async def test_a_store_that_is_gone_is_unavailable(self, own: Subject) -> None:
        await own.stop()
        with pytest.raises(StoreUnavailable):
            await own.store.get(key())

    async def test_a_store_that_hangs_is_unavailable_soon(self, own: Subject) -> None:
        await own.hang()
        started = time.perf_counter()
        with pytest.raises(StoreUnavailable):
            await own.store.get(key())
        assert time.perf_counter() - started < 20 * HASTY  # and not for ever, even on a busy machine

    async def test_putting_never_fails_and_never_waits(self, own: Subject) -> None:
        await own.stop()
        started = time.perf_counter()
        for number in range(100):
            own.store.put(key(number), assessment(0.5))
        assert time.perf_counter() - started < 20 * HASTY  # and not a hundred times

    async def test_a_store_that_is_back_is_used_again(self, own: Subject) -> None:
        await own.stop()
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                await own.store.get(key())
        await own.restart()
        async with asyncio.timeout(20):
            while await found(own.store) is None:
                own.store.put(key(), assessment(0.5))
                await asyncio.sleep(0.02)


class TestFake(ScoreStoreContract, OwnScoreStoreContract):
    @pytest.fixture
    def subject(self) -> Subject:
        store = FakeStore[Assessment]()

        async def down() -> None:
            store.down = True

        async def up() -> None:
            store.down = False

        return Subject(store, stop=down, hang=down, restart=up)

    @pytest.fixture
    def own(self, subject: Subject) -> Subject:
        return subject


@dataclass
class Redis:
    """Scores in a real Valkey, and all that belongs to them."""

    scores: RedisStore[Assessment]
    breaker: Breaker
    dropped: list[int]
    raw: redis.asyncio.Redis


@asynccontextmanager
async def scores_in(
    valkey: Valkey, *, patience: float, ttl: int = 100, queue: int = 1000, writing: bool = True
) -> AsyncIterator[Redis]:
    breaker, dropped = Breaker(threshold=3, cooldown=0.2), list[int]()
    options = RedisOptions(valkey.url, patience, ttl, 4096, queue)
    async with (
        RedisStore(SCORES, options, breaker=breaker, on_dropped=dropped.append) as scores,
        BackgroundTasks() as tasks,
        redis.asyncio.from_url(valkey.url) as raw,
    ):
        tasks.start("cache reads", scores.read)
        if writing:
            tasks.start("cache writes", scores.write)
        yield Redis(scores, breaker, dropped, raw)


class TestRedis(ScoreStoreContract):
    @pytest.fixture
    async def redis(self, valkey: Valkey) -> AsyncIterator[Redis]:
        async with scores_in(valkey, patience=PATIENT) as redis:
            await redis.raw.flushdb()
            yield redis
            await redis.raw.flushdb()

    @pytest.fixture
    def subject(self, redis: Redis) -> Subject:
        async def never() -> None:
            raise AssertionError("this one is shared")

        return Subject(redis.scores, stop=never, hang=never, restart=never)

    async def test_a_burst_is_answered_and_does_not_open_the_breaker(self, redis: Redis) -> None:
        redis.scores.put(key(), assessment(0.5))
        await stored(redis.scores)
        values = await asyncio.gather(*(redis.scores.get(key()) for _ in range(400)))
        assert None not in values
        assert redis.breaker.state is State.CLOSED

    async def test_an_entry_ends_after_its_time_or_a_tenth_more(self, redis: Redis) -> None:
        for number in range(50):
            redis.scores.put(key(number), assessment(0.5))
        await stored(redis.scores, 49)
        left = [await redis.raw.ttl(name) for name in await redis.raw.keys()]
        assert len(left) == 50
        assert all(98 <= each <= 110 for each in left)
        assert len(set(left)) > 1  # spread, so that not all end at once

    async def test_neither_prompt_nor_tenant_is_anywhere_in_redis(self, redis: Redis) -> None:
        name = Key(b"secret", 8192).of(PROMPT, tenant="tenant-of-mine", classifier=IDENTITY)
        redis.scores.put(name, assessment(0.5))
        async with asyncio.timeout(5):
            while not (names := await redis.raw.keys()):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.002)
        seen = repr([(each, await redis.raw.get(each)) for each in names])
        assert len(seen) < 300
        assert "albatross" not in seen
        assert "tenant" not in seen

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"0.5", id="a number in words"),
            pytest.param(bytes(14), id="another format"),
            pytest.param(b"\x01" + bytes(12), id="cut off"),
            pytest.param(b"\x01" + bytes(14), id="too long"),
            pytest.param(b"\x01" + b"\xff" * 12 + b"\x00", id="not a number"),
            pytest.param(b"\x01" + b"\x00\x00\x00\x40" * 3 + b"\x00", id="out of range"),
            pytest.param(b"\x01" + bytes(12) + b"\x02", id="neither true nor false"),
            pytest.param(b"x" * 100_000, id="enormous"),
        ],
    )
    async def test_what_this_version_did_not_write_is_as_good_as_nothing(
        self, redis: Redis, value: bytes
    ) -> None:
        redis.scores.put(key(), assessment(0.5))
        await stored(redis.scores)
        (name,) = await redis.raw.keys()
        await redis.raw.set(name, value)
        assert await redis.scores.get(key()) is None
        assert redis.breaker.state is State.CLOSED

    async def test_a_caller_who_leaves_does_not_leave_its_answer_to_the_next(self, redis: Redis) -> None:
        redis.scores.put(key("one"), assessment(0.25))
        redis.scores.put(key("other"), assessment(0.75))
        await stored(redis.scores, "one")
        await stored(redis.scores, "other")
        for _ in range(50):
            leaving = asyncio.create_task(redis.scores.get(key("one")))
            await asyncio.sleep(0)
            leaving.cancel()
            other = await redis.scores.get(key("other"))
            assert other is not None
            assert other.score == 0.75
        assert redis.breaker.state is State.CLOSED

    async def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(self, valkey: Valkey) -> None:
        async with scores_in(valkey, patience=PATIENT, queue=2, writing=False) as full:
            for number in range(5):
                full.scores.put(key(number), assessment(0.5))
            assert sum(full.dropped) == 3


class TestOwnRedis(OwnScoreStoreContract):
    @pytest.fixture
    async def server(self, start_valkey: StartValkey) -> Valkey:
        return await start_valkey()

    @pytest.fixture
    async def redis(self, server: Valkey) -> AsyncIterator[Redis]:
        async with scores_in(server, patience=HASTY) as redis:
            yield redis

    @pytest.fixture
    async def own(self, server: Valkey, redis: Redis) -> AsyncIterator[Subject]:
        await stored_once(redis.scores)

        async def hang() -> None:
            server.process.pause()

        yield Subject(redis.scores, stop=server.process.kill, hang=hang, restart=server.process.start)
        server.process.resume()

    async def test_nothing_of_the_library_leaks_out(self, own: Subject) -> None:
        await own.stop()
        with pytest.raises(StoreUnavailable) as raised:
            await own.store.get(key())
        assert not isinstance(raised.value, RedisError | OSError)

    async def test_a_store_that_hangs_costs_its_timeout_only_until_the_breaker_opens(
        self, own: Subject, redis: Redis
    ) -> None:
        await own.hang()
        async with asyncio.timeout(20 * HASTY):
            while redis.breaker.state is not State.OPEN:
                with pytest.raises(StoreUnavailable):
                    await own.store.get(key())
        started = time.perf_counter()
        for _ in range(50):
            with pytest.raises(StoreUnavailable):
                await own.store.get(key())
        assert time.perf_counter() - started < 20 * HASTY  # and not fifty times

    async def test_a_caller_who_leaves_a_store_that_hangs_says_nothing_about_it(
        self, own: Subject, redis: Redis
    ) -> None:
        await own.hang()
        for _ in range(5):
            leaving = asyncio.create_task(own.store.get(key()))
            await asyncio.sleep(HASTY / 10)  # until the question is on its way
            leaving.cancel()
            await asyncio.wait([leaving])
        assert redis.breaker.state is State.CLOSED

    async def test_a_store_that_wakes_up_gives_nobody_anothers_answer(
        self, own: Subject, server: Valkey, redis: Redis
    ) -> None:
        for name, score in (("one", 0.25), ("other", 0.75)):
            own.store.put(key(name), assessment(score))
            await stored(own.store, name)
        await own.hang()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await own.store.get(key("one"))
        server.process.resume()
        assert (await stored(own.store, "other")).score == 0.75
        assert redis.breaker.state is State.CLOSED

    async def test_writes_that_cannot_be_made_are_counted(self, own: Subject, redis: Redis) -> None:
        await own.stop()
        for number in range(3):
            own.store.put(key(number), assessment(0.5))
        async with asyncio.timeout(5):
            while sum(redis.dropped) < 3:  # noqa: ASYNC110 - a counter tells only when asked
                await asyncio.sleep(0.01)
        assert sum(redis.dropped) == 3


async def stored_once(store: ScoreStore) -> None:
    """Have a connection made and used, so that what breaks is a connection that worked."""
    store.put(key("first"), assessment(0.5))
    await stored(store, "first")


@pytest.fixture
async def sessions(valkey: Valkey) -> AsyncIterator[RedisStore[Session]]:
    options = RedisOptions(valkey.url, PATIENT, 100, 4096, 1000)
    store = RedisStore(
        SESSIONS, options, breaker=Breaker(threshold=3, cooldown=0.2), on_dropped=lambda _: None
    )
    async with store, BackgroundTasks() as tasks:
        tasks.start("session reads", store.read)
        tasks.start("session writes", store.write)
        yield store


async def session_in(store: RedisStore[Session], name: object) -> Session:
    async with asyncio.timeout(PATIENT):
        while (value := await store.get(key(name))) is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.002)
        return value


@pytest.mark.parametrize("session", [Session("strong", "10.0.0.7:9000"), Session("weak")])
async def test_a_session_comes_back_as_it_was(sessions: RedisStore[Session], session: Session) -> None:
    sessions.put(key(session), session)
    assert await session_in(sessions, session) == session


@pytest.mark.parametrize(
    "value", [b"", b"strong", b"a\0b\0c", b"\xff\0\xff", b"x" * 100_000], ids=lambda value: repr(value[:9])
)
async def test_a_session_that_this_version_did_not_write_is_as_good_as_none(
    sessions: RedisStore[Session], valkey: Valkey, value: bytes
) -> None:
    async with redis.asyncio.from_url(valkey.url) as raw:
        await raw.set(SESSIONS.prefix + key("foreign"), value)
    assert await sessions.get(key("foreign")) is None
