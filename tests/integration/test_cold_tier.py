"""The strong tier is at zero: the name of its pods has no address, until one starts. Real processes, real names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest

from fakes.engine import FakeEngine, fake_engine
from fixtures.callers import Caller, body, calling, failure, fetch, metric, responses, until
from fixtures.names import Names
from fixtures.router_process import Backend, Router, StartBackend, StartRouter, behind, direct, policies
from steersman.api.v1 import decision_pb2, demand_service_pb2

STRONG: Final = "strong.steersman.svc"
COLD: Final = decision_pb2.DECISION_REASON_TIER_COLD
LONGEST: Final = 1.0
"""Seconds that `hasty`'s router lets a request wait."""


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine(slots=8) as engine:
        yield engine


@dataclass
class Night:
    """A weak tier that is an engine, and a strong one with a backend that runs but whose name nobody knows yet."""

    strong: Backend
    names: Names
    router: Router
    caller: Caller

    def wakes(self) -> None:
        self.names.are(STRONG)

    async def until_waiting(self, requests: int) -> None:
        async def so_many() -> bool:
            return await metric(self.router.metrics, "steersman_waiting_requests") == requests

        await until(so_many)


def content(engine: FakeEngine, target: str) -> dict[str, Any]:
    """Everybody wants the strong tier; `auto` takes the weak one at once, `patient` later, and `strict` never."""
    found = policies(direct(engine.url), behind(target), fallback="strong")
    found["tiers"]["strong"]["upstream"]["target"] = target
    auto = found["policies"]["auto"]
    found["policies"]["patient"] = {**auto, "when_cold": "wait"}
    found["policies"]["strict"] = {**auto, "when_cold": "wait", "tier_fallback": False}
    return found


async def a_night(
    engine: FakeEngine,
    start_backend: StartBackend,
    start_router: StartRouter,
    names: Names,
    **settings: object,
) -> tuple[Backend, Router]:
    backend = await start_backend(engine.url)
    router = await start_router(
        content(engine, f"dns:///{STRONG}:{backend.grpc.rpartition(':')[2]}"),
        settings={"DISPATCH__REFRESH_SECONDS": 0.5, **settings},
        within=names.within,
    )
    return backend, router


@pytest.fixture
async def night(
    engine: FakeEngine, start_backend: StartBackend, start_router: StartRouter, names: Names
) -> AsyncIterator[Night]:
    backend, router = await a_night(engine, start_backend, start_router, names)
    async with calling(router.grpc) as caller:
        yield Night(backend, names, router, caller)


@pytest.fixture
async def hasty(
    engine: FakeEngine, start_backend: StartBackend, start_router: StartRouter, names: Names
) -> AsyncIterator[Night]:
    """One whose router has room for one request, for a second."""
    room = {"WAITING_ROOM__LONGEST_SECONDS": LONGEST, "WAITING_ROOM__MAX_REQUESTS": 1}
    backend, router = await a_night(engine, start_backend, start_router, names, **room)
    async with calling(router.grpc) as caller:
        yield Night(backend, names, router, caller)


async def wanted(caller: Caller, tier: str) -> tuple[int, int]:
    """Waiting and unmet requests of a tier, as the router tells the scaler."""
    call = caller.demand.StreamDemand(demand_service_pb2.StreamDemandRequest())
    report = await call.read()
    call.cancel()
    demand = next(each.demand for each in report.tiers if each.tier == tier)
    return demand.waiting, demand.unmet_total


async def test_the_other_tier_answers_at_once_and_says_why(night: Night) -> None:
    response = await night.caller.complete()
    stream = await responses(night.caller.chat())
    answer = await fetch(f"{night.router.http}/v1/chat/completions", data=body())
    for decision in (response.decision, stream[0].decision):
        assert (decision.tier, decision.wanted_tier, decision.reason) == ("weak", "strong", COLD)
    assert (answer.status, answer.headers["x-steersman-reason"]) == (200, "TIER_COLD")
    assert (await wanted(night.caller, "strong"))[1] == 3
    night.wakes()

    async def strong() -> bool:
        return (await night.caller.complete()).decision.tier == "strong"

    await until(strong)


@pytest.mark.parametrize("model", ["patient", "strict", "strong"])
async def test_a_request_waits_and_is_answered_by_the_tier_it_wanted(night: Night, model: str) -> None:
    unary = asyncio.ensure_future(night.caller.complete(model=model))
    streamed = asyncio.ensure_future(responses(night.caller.chat(model=model)))
    http = asyncio.ensure_future(fetch(f"{night.router.http}/v1/chat/completions", data=body(model=model)))
    await night.until_waiting(3)
    assert await wanted(night.caller, "strong") == (3, 0)
    night.wakes()
    async with asyncio.timeout(15):
        response, stream, answer = await unary, await streamed, await http
    for decision in (response.decision, stream[0].decision):
        assert (decision.tier, decision.wanted_tier) == ("strong", "strong")
    assert response.text == "".join(each.text for each in stream) == "Hello there!"
    assert (answer.status, answer.headers["x-steersman-tier"]) == (200, "strong")
    assert float(answer.headers["x-steersman-waited-ms"]) > 0
    for summary in (response.summary, stream[-1].summary):
        assert (
            summary.waited.ToTimedelta().total_seconds()
            > summary.overhead.total.ToTimedelta().total_seconds()
        )
    assert await wanted(night.caller, "strong") == (0, 0)
    assert await metric(night.router.metrics, "steersman_wait_seconds_count", outcome="WOKEN") == 3


async def test_a_tier_that_has_gone_to_zero_again_is_waited_for_again(night: Night) -> None:
    night.wakes()
    assert (await night.caller.complete(model="strict")).decision.tier == "strong"
    night.names.are()

    async def cold() -> bool:
        return (await night.caller.complete()).decision.reason == COLD

    await until(cold)
    waiting = asyncio.ensure_future(night.caller.complete(model="strict"))
    await night.until_waiting(1)
    night.wakes()
    assert (await asyncio.wait_for(waiting, 15)).decision.tier == "strong"


async def test_who_waited_is_not_lost_to_a_pod_that_does_not_listen_yet(night: Night) -> None:
    await night.strong.process.kill()
    calls = [asyncio.ensure_future(night.caller.complete(model="strict")) for _ in range(8)]
    await night.until_waiting(8)
    night.wakes()

    async def tried() -> bool:
        return await metric(night.router.metrics, "steersman_breaker_state", part="tiers") > 0

    await until(tried)
    await night.strong.process.restart()
    answers = await asyncio.wait_for(asyncio.gather(*calls), 30)
    assert {answer.decision.tier for answer in answers} == {"strong"}


async def test_a_crowd_that_has_waited_is_answered_by_one_small_pod(night: Night) -> None:
    calls = [
        asyncio.ensure_future(night.caller.complete(f"{number}?", model="strict")) for number in range(150)
    ]
    await night.until_waiting(150)
    night.wakes()
    answers = await asyncio.wait_for(asyncio.gather(*calls), 60)
    assert {answer.decision.tier for answer in answers} == {"strong"}


async def test_a_caller_who_leaves_gives_the_place_up(hasty: Night) -> None:
    call = hasty.caller.chat(model="strict")
    await hasty.until_waiting(1)
    call.cancel()
    await hasty.until_waiting(0)
    http = asyncio.ensure_future(fetch(f"{hasty.router.http}/v1/chat/completions", data=body(model="strict")))
    await hasty.until_waiting(1)
    http.cancel()
    await hasty.until_waiting(0)
    waiting = asyncio.ensure_future(hasty.caller.complete(model="strict"))
    await hasty.until_waiting(1)
    hasty.wakes()
    assert (await asyncio.wait_for(waiting, 15)).decision.tier == "strong"


async def test_who_waited_in_vain_is_answered_by_the_other_tier_where_it_may(hasty: Night) -> None:
    response = await hasty.caller.complete(model="patient")
    assert (response.decision.tier, response.decision.reason) == ("weak", COLD)
    assert response.summary.waited.ToTimedelta().total_seconds() == pytest.approx(LONGEST, abs=0.9)


async def test_who_waited_in_vain_or_found_no_room_learns_when_to_come_back(hasty: Night) -> None:
    waiting = asyncio.ensure_future(failure(hasty.caller.complete(model="strict")))
    await hasty.until_waiting(1)
    full = await failure(hasty.caller.complete(model="strict"))
    ran_out = await waiting
    assert (full.code, full.reason) == (grpc.StatusCode.UNAVAILABLE, "WAITING_ROOM_FULL")
    assert (ran_out.code, ran_out.reason) == (grpc.StatusCode.UNAVAILABLE, "TIER_COLD")
    for error in (full, ran_out):
        assert error.retry_after is not None
        assert error.retry_after > 0
    answer = await fetch(f"{hasty.router.http}/v1/chat/completions", data=body(model="strict", stream=True))
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await wanted(hasty.caller, "strong"))[1] == 3


async def test_a_router_that_stops_sends_away_who_waits_and_does_not_keep_them_to_the_end(
    night: Night,
) -> None:
    waiting = asyncio.ensure_future(failure(night.caller.complete(model="strict")))
    await night.until_waiting(1)
    await asyncio.wait_for(night.router.process.stop(), 15)
    error = await waiting
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "TIER_COLD")


async def test_a_new_address_in_the_policy_file_wakes_whoever_waits(
    engine: FakeEngine, start_backend: StartBackend, start_router: StartRouter
) -> None:
    backend = await start_backend(engine.url)
    router = await start_router(content(engine, f"dns:///{'x' * 64}:9001"))
    async with calling(router.grpc) as caller:
        waiting = asyncio.ensure_future(caller.complete(model="strict"))

        async def waits() -> bool:
            return await metric(router.metrics, "steersman_waiting_requests") == 1

        await until(waits)
        router.write_policies(content(engine, backend.grpc))
        assert (await asyncio.wait_for(waiting, 15)).decision.tier == "strong"
