"""Redis is killed, or stopped so that it never answers: the same answers, a little later, and back when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import pytest
import redis.asyncio

from fakes.engine import FakeEngine
from fixtures.callers import Caller, calling, metric, until
from fixtures.real_parts import StartValkey, Valkey
from fixtures.redis_entries import scores
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.api.v1 import decision_pb2
from steersman.local.system import System

TIMEOUT = 0.2
_numbers = count()


def new_text() -> str:
    """A text that nobody has asked about."""
    return f"Question {next(_numbers)} of a bad day: why is the sea salty?"


@dataclass
class Day:
    """A Redis of one's own, and a router that uses it."""

    valkey: Valkey
    router: Router
    caller: Caller

    async def breaker(self) -> float:
        return await metric(self.router.metrics, "steersman_breaker_state", part="cache")

    async def until_recovered(self) -> None:
        async def recovered() -> bool:
            return (await self.caller.route(new_text())).cache == decision_pb2.CACHE_STATE_MISS

        await until(recovered)

    async def entries(self) -> int:
        async with redis.asyncio.from_url(self.valkey.url) as client:
            return len(await scores(client))


@pytest.fixture
async def day(
    start_valkey: StartValkey, start_router: StartRouter, system: System, engines: dict[str, FakeEngine]
) -> AsyncIterator[Day]:
    valkey = await start_valkey()
    router = await start_router(
        policies(direct(engines["weak"].url), direct(engines["strong"].url), out_of_domain={"rule": "score"}),
        classifier=system.addresses.triton_grpc,
        cache=valkey.url,
        settings={"CACHE__TIMEOUT_SECONDS": TIMEOUT, "CACHE__BREAKER_COOLDOWN_SECONDS": 1},
    )
    async with calling(router.grpc) as caller:
        yield Day(valkey, router, caller)


async def test_answers_go_on_without_a_redis_that_was_killed_and_use_it_again_when_it_is_back(
    day: Day,
) -> None:
    text = new_text()
    known = await day.caller.route(text)
    assert known.cache == decision_pb2.CACHE_STATE_MISS
    await day.valkey.process.kill()
    for _ in range(10):
        response = await day.caller.complete(new_text())
        assert response.text == "Hello there!"
        assert response.decision.cache == decision_pb2.CACHE_STATE_BYPASSED
        assert response.decision.reason == decision_pb2.DECISION_REASON_SCORE
    assert await day.breaker() == 2
    assert (await day.caller.route(text)).cache == decision_pb2.CACHE_STATE_L1_HIT
    await day.valkey.process.restart()
    await day.until_recovered()

    async def written() -> bool:
        return await day.entries() > 0

    await until(written)
    assert await day.breaker() == 0


async def test_a_redis_that_never_answers_costs_a_few_timeouts_and_then_nothing(day: Day) -> None:
    await day.caller.route(new_text())
    day.valkey.process.pause()
    took = []
    for _ in range(8):
        response = await day.caller.complete(new_text())
        assert response.text == "Hello there!"
        assert response.decision.cache == decision_pb2.CACHE_STATE_BYPASSED
        took.append(response.summary.overhead.cache.ToTimedelta().total_seconds())
    assert max(took) < TIMEOUT + 0.5
    slow = [seconds for seconds in took if seconds > TIMEOUT * 0.9]
    assert 1 <= len(slow) <= 4, "three failures open the breaker, and one call tries again"
    assert sorted(took)[3] < 0.05
    day.valkey.process.resume()
    await day.until_recovered()
    assert await day.breaker() == 0


async def test_many_callers_at_once_wait_for_a_hung_redis_one_timeout_at_most(day: Day) -> None:
    await day.caller.route(new_text())
    day.valkey.process.pause()
    async with asyncio.timeout(5):
        decisions = await asyncio.gather(*(day.caller.route(new_text()) for _ in range(50)))
    assert {decision.reason for decision in decisions} == {decision_pb2.DECISION_REASON_SCORE}
    assert {decision.cache for decision in decisions} == {decision_pb2.CACHE_STATE_BYPASSED}
    day.valkey.process.resume()
    await day.until_recovered()


async def test_what_was_scored_without_redis_is_known_in_this_process_at_least(day: Day) -> None:
    await day.valkey.process.kill()
    text = new_text()
    first, second = await day.caller.route(text), await day.caller.route(text)
    assert first.cache == decision_pb2.CACHE_STATE_BYPASSED
    assert (second.cache, second.score) == (decision_pb2.CACHE_STATE_L1_HIT, first.score)
