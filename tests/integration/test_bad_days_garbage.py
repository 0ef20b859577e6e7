"""A backend says what is no message: another one answers, and where there is none the caller gets a typed error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from fakes.backend import FakeBackend, fake_backend
from fakes.garbage import GARBAGE, says
from fixtures.callers import calling, failure, metric, responses
from fixtures.router_process import StartRouter, behind, policies

GENERATE = "steersman.api.v1.BackendService/Generate"


@pytest.fixture
async def good() -> AsyncIterator[FakeBackend]:
    async with fake_backend() as backend:
        yield backend


async def test_another_backend_answers_and_the_bad_one_is_left_alone(
    start_router: StartRouter, good: FakeBackend
) -> None:
    async with says(GENERATE, GARBAGE) as bad:
        tier = behind(bad, good.address)
        router = await start_router(policies(tier, tier), settings={"DISPATCH__BREAKER_FAILURES": 2})
        async with calling(router.grpc) as caller:
            answers = [await caller.complete(model="weak") for _ in range(30)]
        assert all(answer.text for answer in answers)
        assert sum(answer.summary.retries for answer in answers) >= 2
        assert await metric(router.metrics, "steersman_breaker_state", part="tiers") > 0
        assert not await metric(router.metrics, "steersman_rpcs_total", code="INTERNAL")


async def test_a_stream_that_turns_into_garbage_ends_with_a_typed_error(start_router: StartRouter) -> None:
    async with says(GENERATE, [b"", *GARBAGE]) as bad:
        router = await start_router(policies(behind(bad), behind(bad), tier_fallback=False))
        async with calling(router.grpc) as caller:
            error = await failure(responses(caller.chat(model="weak")))
    assert (error.code, error.reason, error.domain) == (
        grpc.StatusCode.ABORTED,
        "BACKEND_GARBAGE",
        "steersman.dev",
    )
