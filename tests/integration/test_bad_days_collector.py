"""The collector is killed, or stopped so that it takes spans and never answers: nothing changes but a counter."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from fakes.engine import FakeEngine, fake_engine
from fixtures.callers import Caller, calling, metric, until
from fixtures.real_parts import Collector, StartCollector
from fixtures.router_process import Router, StartRouter, direct, policies


@dataclass
class Day:
    """A collector of one's own, and a router that traces everything."""

    collector: Collector
    router: Router
    caller: Caller

    async def dropped(self) -> float:
        return await metric(self.router.metrics, "steersman_spans_dropped_total")

    async def ask(self, times: int) -> float:
        """Ask so often, and tell how long the slowest answer took."""
        took = []
        for _ in range(times):
            started = time.perf_counter()
            assert (await self.caller.complete(model="weak")).text == "Hello there!"
            took.append(time.perf_counter() - started)
        return max(took)


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine() as engine:
        yield engine


@pytest.fixture
async def day(
    engine: FakeEngine, start_collector: StartCollector, start_router: StartRouter
) -> AsyncIterator[Day]:
    collector = await start_collector()
    tier = direct(engine.url)
    router = await start_router(
        policies(tier, tier),
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        },
    )
    async with calling(router.grpc) as caller:
        yield Day(collector, router, caller)


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "stopped"])
async def test_answers_go_on_as_fast_and_lost_spans_are_counted(day: Day, *, hangs: bool) -> None:
    await day.ask(3)
    assert await day.dropped() == 0
    if hangs:
        day.collector.process.pause()
    else:
        await day.collector.process.kill()
    assert await day.ask(30) < 1

    async def counted() -> bool:
        return await day.dropped() > 0

    await until(counted, seconds=20)
    assert await day.ask(10) < 1
    day.router.process.send(signal.SIGTERM)
    assert await asyncio.wait_for(day.router.process.ended(), 10) == 0, "nor does it hold up the end"


async def test_more_spans_than_the_queue_holds_are_dropped_and_counted_too(
    engine: FakeEngine, start_collector: StartCollector, start_router: StartRouter
) -> None:
    collector = await start_collector()
    collector.process.pause()
    tier = direct(engine.url)
    router = await start_router(
        policies(tier, tier),
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BSP_MAX_QUEUE_SIZE": "20",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        },
    )
    async with calling(router.grpc) as caller:
        day = Day(collector, router, caller)
        await day.ask(50)
        assert await day.dropped() >= 60
    await router.process.kill()
