"""DemandService: what an autoscaler learns from one replica of the router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from fakes.engine import FakeEngine
from fixtures.callers import Caller, calling, failure, metric, responses
from fixtures.router_process import NOWHERE, Router, StartRouter, direct, policies
from steersman.api.v1 import demand_service_pb2 as pb


@pytest.fixture
async def caller(router: Router) -> AsyncIterator[Caller]:
    async with calling(router.grpc) as caller:
        yield caller


def stream(caller: Caller, *, seconds: float = 60) -> Any:
    interval = Duration()
    interval.FromMilliseconds(round(seconds * 1000))
    return caller.demand.StreamDemand(pb.StreamDemandRequest(interval=interval), timeout=60)


def of(response: pb.StreamDemandResponse, tier: str) -> pb.Demand:
    return {each.tier: each.demand for each in response.tiers}.get(tier, pb.Demand())


async def until(call: Any, holds: Callable[[pb.StreamDemandResponse], bool]) -> pb.StreamDemandResponse:
    """The next response for which something holds; each comes because demand has changed."""
    response: pb.StreamDemandResponse = await call.read()
    while not holds(response):
        response = await call.read()
    return response


async def test_demand_comes_at_once_and_names_the_tiers_and_the_replica(caller: Caller) -> None:
    first = await stream(caller).read()
    assert {each.tier for each in first.tiers} == {"weak", "strong"}
    assert first.replica
    assert (await stream(caller).read()).replica == first.replica


async def test_demand_rises_with_a_request_for_a_tier_and_falls_with_its_end(
    caller: Caller, engines: dict[str, FakeEngine]
) -> None:
    engines["strong"].hold_after = 1
    watch = stream(caller)
    idle = await watch.read()
    assert (of(idle, "strong").running, idle.router.running) == (0, 0)
    chat = caller.chat(model="strong")
    busy = await until(watch, lambda response: of(response, "strong").running == 1)
    assert busy.router.running == 1
    assert of(busy, "weak").running == 0
    engines["strong"].release()
    await responses(chat)
    await until(watch, lambda response: of(response, "strong").running == response.router.running == 0)


async def test_a_request_that_waits_for_its_engine_is_waiting_demand(
    caller: Caller, engines: dict[str, FakeEngine], router: Router
) -> None:
    engines["weak"].hold_before_answer = True
    watch = stream(caller)
    chat = caller.chat(model="weak")
    await until(watch, lambda response: of(response, "weak").waiting == 1)
    assert await metric(router.metrics, "steersman_demand", part="tier weak", state="waiting") == 1
    chat.cancel()
    await until(watch, lambda response: of(response, "weak").waiting == 0)


async def test_work_that_another_tier_did_counts_for_the_one_that_should_have_done_it(
    start_router: StartRouter, engines: dict[str, FakeEngine]
) -> None:
    router = await start_router(
        policies(direct(engines["weak"].url), direct(f"http://{NOWHERE}"), fallback="strong")
    )
    async with calling(router.grpc) as caller:
        watch = stream(caller)
        response = await caller.complete()
        assert (response.decision.tier, response.decision.wanted_tier) == ("weak", "strong")
        demand = await until(watch, lambda each: of(each, "strong").unmet_total > 0)
        assert of(demand, "strong").unmet_total == 1
        assert of(demand, "weak").unmet_total == 0
        watch.cancel()


async def test_demand_is_told_again_after_each_interval(caller: Caller) -> None:
    watch = stream(caller, seconds=0.2)
    said = [await watch.read() for _ in range(3)]
    watch.cancel()
    assert len(said) == 3


@pytest.mark.parametrize("seconds", [0.01, 1e6])
async def test_an_interval_out_of_range_is_refused(caller: Caller, seconds: float) -> None:
    error = await failure(stream(caller, seconds=seconds).read())
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == ("interval",)
