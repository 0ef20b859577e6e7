"""The copy of a resource's objects: kept up to date, and kept when the API server is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from fakes.clock import FakeClock
from fakes.kubernetes import GONE, POLICIES, FakeKubernetes
from steersman.runtime.backoff import Backoff
from steersman.runtime.kubernetes.api import Missing, Rejected, Resource
from steersman.runtime.kubernetes.reflector import Objects, Reflector

SPEC = {"tiers": ["weak"]}


@dataclass
class World:
    """A reflector on a fake API, on a clock of its own: each pause is noted, and over at once."""

    api: FakeKubernetes = field(default_factory=FakeKubernetes)
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[set[str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    reflector: Reflector = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reflector = Reflector(
            self.api,
            POLICIES,
            self.api.namespace,
            self._tell,
            self.errors.append,
            Backoff(1.0, 8.0, lambda _low, high: high),
            self.clock,
            self._sleep,
        )

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reflector.follow())
        try:
            yield
        finally:
            task.cancel()

    async def until_told(self, names: set[str]) -> None:
        async with asyncio.timeout(5):
            while not self.told or self.told[-1] != names:
                await self._changed.wait()

    async def _tell(self, objects: Objects) -> None:
        self.told.append(set(objects))
        self._news()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def _news(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@pytest.fixture
async def world() -> World:
    return World()


async def test_what_there_is_is_told_and_then_each_change(world: World) -> None:
    world.api.put("a", SPEC)
    async with world.following():
        await world.until_told({"a"})
        world.api.put("b", SPEC)
        await world.until_told({"a", "b"})
        world.api.remove("a")
        await world.until_told({"b"})


async def test_that_there_is_nothing_is_told_too(world: World) -> None:
    async with world.following():
        await world.until_told(set())
    assert world.reflector.objects == {}


async def test_before_the_first_list_nothing_is_known(world: World) -> None:
    world.api.fail(GONE)
    async with world.following():
        await world.api.until_asked(2)
        assert world.reflector.objects is None
        assert not await world.reflector.listed(0.0)


async def test_a_watch_that_ended_is_resumed_where_it_was(world: World) -> None:
    async with world.following():
        await world.until_told(set())
        newest = world.api.put("a", SPEC)
        await world.until_told({"a"})
        world.api.end_watches()
        await world.api.until_asked(3)
    assert world.api.asked == ["list", "watch 1000", f"watch {newest.version}"]


async def test_a_bookmark_moves_on_where_a_watch_is_resumed(world: World) -> None:
    async with world.following():
        await world.api.until_asked(2)
        world.api.bookmark()
        await asyncio.sleep(0)
        world.api.end_watches()
        await world.api.until_asked(3)
    assert world.api.asked[-1] == "watch 1001"
    assert world.told == [set()]


async def test_a_watch_that_broke_is_resumed_where_it_was_and_misses_nothing(world: World) -> None:
    async with world.following():
        await world.until_told(set())
        world.api.fail(GONE)
        await world.api.until_asked(4)
        world.api.put("a", SPEC)
        world.api.fail(None)
        await world.until_told({"a"})
    assert world.api.asked.count("list") == 1
    assert set(world.errors) == {"UNREACHABLE"}


async def test_a_version_that_has_expired_leads_to_a_new_list(world: World) -> None:
    world.api.put("a", SPEC)
    async with world.following():
        await world.until_told({"a"})
        world.api.fail(GONE)
        await world.api.until_asked(3)
        world.api.remove("a")
        world.api.put("b", SPEC)
        world.api.bookmark()
        world.api.forget()
        world.api.fail(None)
        await world.until_told({"b"})
    assert world.api.asked.count("list") == 2
    assert world.errors[-1] == "EXPIRED"


async def test_what_is_known_stays_while_the_api_server_is_away(world: World) -> None:
    world.api.put("a", SPEC)
    async with world.following():
        await world.until_told({"a"})
        world.api.fail(GONE)
        await world.api.until_asked(20)
    assert set(world.reflector.objects or {}) == {"a"}
    assert world.told == [{"a"}]


async def test_pauses_grow_up_to_the_longest_while_it_is_away(world: World) -> None:
    world.api.fail(GONE)
    async with world.following():
        await world.api.until_asked(7)
    assert world.pauses[:6] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


async def test_a_connection_that_lasted_makes_the_next_pause_short_again(world: World) -> None:
    world.api.fail(GONE)
    async with world.following():
        await world.api.until_asked(5)
        world.api.fail(None)
        await world.until_told(set())
        world.clock.advance(60.0)
        world.pauses.clear()
        world.api.end_watches()
        await world.api.until_asked(len(world.api.asked) + 1)
    assert world.pauses[0] == 1.0


async def test_watches_that_end_at_once_do_not_make_a_busy_loop(world: World) -> None:
    async with world.following():
        await world.until_told(set())
        for _ in range(4):
            world.api.end_watches()
            await world.api.until_asked(len(world.api.asked) + 1)
    assert world.pauses == [1.0, 2.0, 4.0, 8.0]


async def test_a_resource_that_the_cluster_lacks_is_looked_for_slowly_and_found_when_it_comes(
    world: World,
) -> None:
    known, world.api.resource = world.api.resource, Resource("another.dev", "v1", "things")
    async with world.following():
        await world.api.until_asked(3)
        world.api.resource = known
        await world.until_told(set())
    assert world.pauses[0] == 30.0
    assert set(world.errors) == {"MISSING"}


async def test_a_trouble_is_logged_once_and_its_end_too(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.api.fail(Rejected("403: may not"))
    async with world.following():
        await world.api.until_asked(5)
        world.api.fail(None)
        await world.until_told(set())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.records[0].__dict__["error"] == "403: may not"


async def test_silence_is_counted_from_the_last_word(world: World) -> None:
    async with world.following():
        await world.until_told(set())
        world.clock.advance(45.0)
        assert world.reflector.silence == 45.0
        world.api.put("a", SPEC)
        await world.until_told({"a"})
        assert world.reflector.silence == 0.0


async def test_a_new_run_lists_anew_so_that_a_failure_in_the_middle_of_a_change_heals(world: World) -> None:
    async with world.following():
        await world.until_told(set())
    async with world.following():
        await world.api.until_asked(3)
    assert world.api.asked.count("list") == 2


async def test_missing_objects_are_no_reason_to_forget_what_was_known(world: World) -> None:
    world.api.put("a", SPEC)
    async with world.following():
        await world.until_told({"a"})
        world.api.fail(Missing("404: not yet"))
        await world.api.until_asked(4)
    assert set(world.reflector.objects or {}) == {"a"}
