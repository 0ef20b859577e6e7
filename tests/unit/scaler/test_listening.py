"""Which routers are listened to, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from fakes.addresses import FakeAddresses
from fakes.router_demand import FakeRouter, FakeRouters
from steersman.runtime.errors import Unavailable
from steersman.runtime.tasks import BackgroundTasks
from steersman.scaler.demand import Demand, Rules
from steersman.scaler.listening import Listening
from steersman.scaler.model import Counts, Report
from steersman.scaler.news import News
from steersman.scaler.ports import RouterLost


def report(replica: str, running: int = 0) -> Report:
    return Report(replica, {"router": Counts(running=running)})


@dataclass
class World:
    """What a scaler listens to, and what it has heard."""

    tasks: BackgroundTasks
    source: FakeAddresses = field(default_factory=lambda: FakeAddresses(("a:1", "b:1")))
    routers: FakeRouters = field(default_factory=FakeRouters)
    demand: Demand = field(default_factory=lambda: Demand(Rules()))
    news: News = field(default_factory=News)
    listening: Listening = field(init=False)

    def __post_init__(self) -> None:
        self.routers.routers = {address: FakeRouter(report(address)) for address in ("a:1", "b:1")}
        self.listening = Listening(
            target="routers",
            source=self.source,
            routers=self.routers,
            demand=self.demand,
            news=self.news,
            tasks=self.tasks,
            refresh_seconds=0.01,
            longest_pause_seconds=0.02,
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for news after which something holds."""
        async with asyncio.timeout(20):
            while True:
                news = self.news.next
                if holds():
                    return
                await news.wait()

    def running(self) -> int | None:
        try:
            return self.demand.of("router").running
        except Unavailable:
            return None


@pytest.fixture
async def failures() -> list[str]:
    return []


@pytest.fixture
async def world(failures: list[str]) -> AsyncIterator[World]:
    async with BackgroundTasks(on_failure=failures.append) as tasks:
        yield World(tasks)
    assert failures == []


async def test_every_router_that_is_found_is_heard(world: World) -> None:
    await world.listening.refresh()
    world.routers.routers["a:1"].say(report("a", 2))
    world.routers.routers["b:1"].say(report("b", 3))
    await world.until(lambda: world.running() == 5)
    assert world.source.asked == ["routers"]


async def test_one_stream_is_opened_for_each_address_however_often_it_is_found(world: World) -> None:
    for _ in range(3):
        await world.listening.refresh()
    await world.until(lambda: world.demand.audience().heard == 2)
    assert sorted(world.routers.asked) == ["a:1", "b:1"]


@pytest.mark.parametrize("word", [RouterLost("it broke"), None], ids=["breaks", "ends"])
async def test_a_stream_that_is_over_is_opened_again(world: World, word: RouterLost | None) -> None:
    await world.listening.refresh()
    await world.until(lambda: world.demand.audience().heard == 2)
    world.routers.routers["a:1"].say(word)
    await world.until(lambda: world.demand.audience().silent == 1)
    await world.until(lambda: world.demand.audience().heard == 2)


async def test_a_router_that_is_not_there_yet_is_tried_until_it_is(world: World) -> None:
    late = world.routers.routers.pop("b:1")
    await world.listening.refresh()
    await world.until(lambda: len(world.routers.asked) > 3)
    world.routers.routers["b:1"] = late
    await world.until(lambda: world.demand.audience().heard == 2)


async def test_a_router_that_has_left_is_not_tried_again_and_not_counted(world: World) -> None:
    await world.listening.refresh()
    world.routers.routers["a:1"].say(report("a", 5))
    await world.until(lambda: world.running() == 5)
    world.source.found = ("b:1",)
    await world.listening.refresh()
    assert world.running() == 5
    world.routers.routers["a:1"].say(None)
    await world.until(lambda: world.running() == 0)
    assert world.routers.asked.count("a:1") == 1


async def test_a_router_that_comes_back_is_heard_again(world: World) -> None:
    await world.listening.refresh()
    await world.until(lambda: world.demand.audience().heard == 2)
    world.source.found = ("b:1",)
    await world.listening.refresh()
    world.routers.routers["a:1"].say(None)
    await world.until(lambda: world.demand.audience().heard == 1)
    world.source.found = ("a:1", "b:1")

    async def found_again() -> None:
        async with asyncio.timeout(20):
            while world.demand.audience().heard < 2:
                await world.listening.refresh()
                await asyncio.sleep(0)

    await found_again()


async def test_when_routers_cannot_be_looked_up_those_that_are_known_stay(world: World) -> None:
    await world.listening.refresh()
    await world.until(lambda: world.demand.audience().heard == 2)
    world.source.down = True
    await world.listening.refresh()
    world.routers.routers["a:1"].say(report("a", 4))
    await world.until(lambda: world.running() == 4)


async def test_routers_are_looked_up_again_and_again(world: World) -> None:
    world.source.down = True
    world.tasks.start("addresses of routers", world.listening.follow)
    async with asyncio.timeout(20):
        while len(world.source.asked) < 3:  # noqa: ASYNC110 - the source has no event to wait for
            await asyncio.sleep(0.01)
    world.source.down = False
    await world.until(lambda: world.demand.audience().heard == 2)
