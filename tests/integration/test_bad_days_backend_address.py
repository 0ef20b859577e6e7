"""One of a tier's two addresses dies or hangs before the first byte: the same answer comes from the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from fakes.engine import FakeEngine, fake_engine
from fixtures.callers import Caller, body, calling, fetch, metric, responses, until
from fixtures.router_process import Backend, Router, StartBackend, StartRouter, behind, direct, policies

COOLDOWN = 1.0


@dataclass
class Pair:
    """Two backends of the strong tier, each before an engine of its own, and a router before them."""

    backends: list[Backend]
    engines: list[FakeEngine]
    router: Router
    caller: Caller

    async def holder(self) -> int:
        """Which of the two has the request that is held."""

        async def known() -> bool:
            return sum(engine.running for engine in self.engines) == 1

        await until(known, pause=0.01)
        return [engine.running for engine in self.engines].index(1)

    def hold(self, *, hold: bool) -> None:
        for engine in self.engines:
            engine.hold_before_answer = hold

    async def retries(self) -> float:
        return await metric(self.router.metrics, "steersman_retries_total", tier="strong")


@pytest.fixture
async def pair(start_backend: StartBackend, start_router: StartRouter) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(fake_engine(slots=8)) for _ in range(2)]
        backends = list(await asyncio.gather(*(start_backend(engine.url) for engine in engines)))
        router = await start_router(
            policies(direct(engines[0].url), behind(*(backend.grpc for backend in backends))),
            settings={
                "DISPATCH__FIRST_BYTE_TIMEOUT_SECONDS": 3,
                "DISPATCH__BREAKER_FAILURES": 3,
                "DISPATCH__BREAKER_COOLDOWN_SECONDS": COOLDOWN,
                "DISPATCH__RETRY_RATIO": 1,
            },
        )
        caller = await stack.enter_async_context(calling(router.grpc))
        yield Pair(backends, engines, router, caller)


def kill(pair: Pair, which: int) -> Awaitable[None]:
    return pair.backends[which].process.kill()


async def pause(pair: Pair, which: int) -> None:
    pair.backends[which].process.pause()


@pytest.mark.parametrize("fell", [kill, pause])
async def test_a_stream_that_had_not_begun_comes_from_the_other_address(
    pair: Pair, fell: Callable[[Pair, int], Awaitable[None]]
) -> None:
    pair.hold(hold=True)
    asked = asyncio.create_task(responses(pair.caller.chat(model="strong")))
    lost = await pair.holder()
    pair.hold(hold=False)
    await fell(pair, lost)
    answer = await asked
    assert "".join(each.text for each in answer) == "Hello there!"
    assert answer[-1].summary.retries == 1
    assert answer[0].decision.tier == "strong"
    assert len(pair.engines[1 - lost].seen) == 1
    assert await pair.retries() == 1


async def test_a_whole_answer_comes_from_the_other_address_too_and_says_so(pair: Pair) -> None:
    pair.hold(hold=True)
    url = f"{pair.router.http}/v1/chat/completions"
    asked = asyncio.create_task(fetch(url, data=body(model="strong")))
    lost = await pair.holder()
    pair.hold(hold=False)
    await kill(pair, lost)
    answer = await asked
    assert answer.json["choices"][0]["message"]["content"] == "Hello there!"
    assert answer.headers["x-steersman-retries"] == "1"


async def test_an_address_that_is_gone_fails_no_request_is_soon_left_alone_and_found_again(
    pair: Pair,
) -> None:
    await kill(pair, 0)
    answers = [await pair.caller.complete(model="strong") for _ in range(20)]
    assert {answer.text for answer in answers} == {"Hello there!"}
    assert 1 <= sum(answer.summary.retries for answer in answers) <= 5
    assert not pair.engines[0].seen
    await pair.backends[0].process.restart()

    async def used_again() -> bool:
        await pair.caller.complete(model="strong")
        return bool(pair.engines[0].seen)

    await until(used_again)


async def test_many_requests_in_flight_when_an_address_dies_are_all_answered(pair: Pair) -> None:
    pair.hold(hold=True)
    asked = [asyncio.create_task(pair.caller.complete(model="strong")) for _ in range(12)]

    async def spread() -> bool:
        return sum(engine.running for engine in pair.engines) == 12

    await until(spread, pause=0.01)
    assert [engine.running for engine in pair.engines] == [6, 6], "the less busy one is taken"
    pair.hold(hold=False)
    await kill(pair, 0)
    pair.engines[1].release()
    answers = await asyncio.gather(*asked)
    assert {answer.text for answer in answers} == {"Hello there!"}
    assert sum(answer.summary.retries for answer in answers) == 6
