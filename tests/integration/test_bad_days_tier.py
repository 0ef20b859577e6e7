"""All of a tier is down: the other one answers where the policy allows it, else the caller learns when to come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from fakes.engine import FakeEngine, fake_engine
from fixtures.callers import Caller, body, calling, failure, fetch, responses, until
from fixtures.router_process import Backend, Router, StartBackend, StartRouter, behind, direct, policies
from steersman.api.v1 import decision_pb2

TIER_UNAVAILABLE = decision_pb2.DECISION_REASON_TIER_UNAVAILABLE


@dataclass
class Day:
    """A weak tier that is an engine, and a strong one whose only backend can be killed."""

    strong: Backend
    router: Router
    caller: Caller


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine(slots=8) as engine:
        yield engine


def content(engine: FakeEngine, backend: Backend) -> dict[str, Any]:
    """Everybody wants the strong tier; `strict` takes no other."""
    found = policies(direct(engine.url), behind(backend.grpc), fallback="strong")
    found["policies"]["strict"] = {**found["policies"]["auto"], "tier_fallback": False}
    return found


@pytest.fixture
async def day(
    engine: FakeEngine, start_backend: StartBackend, start_router: StartRouter
) -> AsyncIterator[Day]:
    backend = await start_backend(engine.url)
    router = await start_router(
        content(engine, backend),
        settings={"DISPATCH__FIRST_BYTE_TIMEOUT_SECONDS": 2, "DISPATCH__WHOLE_TIMEOUT_SECONDS": 2},
    )
    async with calling(router.grpc) as caller:
        assert (await caller.complete()).decision.tier == "strong"
        yield Day(backend, router, caller)


async def back(day: Day, model: str) -> bool:
    response = await day.caller.complete(model=model)
    return response.decision.tier == "strong"


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "stopped"])
async def test_the_other_tier_answers_where_the_policy_allows_it(day: Day, *, hangs: bool) -> None:
    if hangs:
        day.strong.process.pause()
    else:
        await day.strong.process.kill()
    response = await day.caller.complete()
    stream = await responses(day.caller.chat())
    answer = await fetch(f"{day.router.http}/v1/chat/completions", data=body())
    assert response.text == "".join(each.text for each in stream) == "Hello there!"
    for decision in (response.decision, stream[0].decision):
        assert (decision.tier, decision.wanted_tier, decision.reason) == ("weak", "strong", TIER_UNAVAILABLE)
        assert decision.classifier_failure == decision_pb2.DECISION_REASON_CLASSIFIER_UNAVAILABLE
    assert (answer.status, answer.headers["x-steersman-reason"]) == (200, "TIER_UNAVAILABLE")
    assert answer.headers["x-steersman-tier"] == "weak"
    if hangs:
        day.strong.process.resume()
    else:
        await day.strong.process.restart()

    await until(lambda: back(day, "auto"))


async def test_nobody_answers_where_it_does_not_and_the_caller_learns_when_to_come_back(day: Day) -> None:
    await day.strong.process.kill()
    for model in ("strict", "strong"):
        for call in (day.caller.complete(model=model), responses(day.caller.chat(model=model))):
            error = await failure(call)
            assert error.code is grpc.StatusCode.UNAVAILABLE
            assert error.domain == "steersman.dev"
            assert error.reason
            assert error.retry_after is not None
            assert error.retry_after > 0
        for stream in (False, True):
            answer = await fetch(
                f"{day.router.http}/v1/chat/completions", data=body(model=model, stream=stream)
            )
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json["error"]["type"] == "server_error"
            assert "127.0.0.1" not in answer.json["error"]["message"]
    assert (await day.caller.route(model="strict")).tier == "strong", "deciding needs no tier"
    await day.strong.process.restart()

    async def answers() -> bool:
        try:
            return await back(day, "strict")
        except grpc.aio.AioRpcError:
            return False

    await until(answers)


async def test_a_router_starts_without_any_of_its_tiers_and_finds_them_later(
    engine: FakeEngine, start_backend: StartBackend, start_router: StartRouter
) -> None:
    backend = await start_backend(engine.url)
    await backend.process.kill()
    router = await start_router(policies(behind(backend.grpc), behind(backend.grpc)))
    assert (await fetch(f"{router.http}/readyz")).status == 200
    async with calling(router.grpc) as caller:
        assert (await failure(caller.complete())).code is grpc.StatusCode.UNAVAILABLE
        await backend.process.restart()

        async def answers() -> bool:
            try:
                return bool((await caller.complete()).text)
            except grpc.aio.AioRpcError:
                return False

        await until(answers)
