"""Two real routers that keep a tenant to one quota in a real Valkey, as OpenAI's SDK sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import openai
import pytest

from fakes.engine import fake_engine
from fixtures.callers import calling, failure, fetch
from fixtures.real_parts import StartValkey
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.router.quotas import LEASE

ESTIMATE = 5
"""Tokens of "Hello" in a message, by the router's rule of thumb; the engine counts more, with its answer."""


@pytest.fixture
async def engine() -> AsyncIterator[str]:
    async with fake_engine() as each:
        yield each.url


async def routers(start_router: StartRouter, engine: str, cache: str, **limits: float) -> list[Router]:
    content = {**policies(direct(engine), direct(engine)), "tenants": {"default": {"limits": limits}}}
    return [await start_router(content, cache=cache) for _ in range(2)]


async def ask(router: Router) -> int:
    """The status of one request."""
    async with openai.AsyncOpenAI(base_url=f"{router.http}/v1", api_key="none", max_retries=0) as sdk:
        try:
            await sdk.chat.completions.create(model="weak", messages=[{"role": "user", "content": "Hello"}])
        except openai.APIStatusError as error:
            return error.status_code
    return 200


async def counted(router: Router, name: str) -> float:
    lines = (await fetch(router.metrics)).body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_replicas_share_a_quota(
    start_router: StartRouter, start_valkey: StartValkey, engine: str
) -> None:
    valkey = await start_valkey()
    one, other = await routers(start_router, engine, valkey.url, requests_per_minute=4)
    statuses = [await ask(router) for router in (one, other, one, other, one, other)]
    assert statuses == [200, 200, 200, 200, 429, 429]
    assert await counted(one, "steersman_quota_refusals_total") == 1


async def test_what_answers_really_took_is_settled_for_all_replicas(
    start_router: StartRouter, start_valkey: StartValkey, engine: str
) -> None:
    valkey = await start_valkey()
    one, other = await routers(start_router, engine, valkey.url, tokens_per_minute=30)
    statuses = [await ask(router) for router in (one, other) * 4]
    assert 200 in statuses
    assert statuses.count(200) < 30 / ESTIMATE  # as many would be let through if nothing were settled
    assert await counted(one, "steersman_quotas_local_total") == 0


async def test_without_redis_each_replica_keeps_the_quota_by_itself(
    start_router: StartRouter, start_valkey: StartValkey, engine: str
) -> None:
    valkey = await start_valkey()
    one, other = await routers(start_router, engine, valkey.url, requests_per_minute=2)
    await valkey.process.stop()
    assert [await ask(one) for _ in range(3)] == [200, 200, 429]
    assert [await ask(other) for _ in range(3)] == [200, 200, 429]
    assert await counted(one, "steersman_quotas_local_total") > 0


async def answering(router: Router, stack: AsyncExitStack) -> openai.AsyncStream[Any]:
    """A stream that has begun, and whose connection the stack closes."""
    sdk = await stack.enter_async_context(openai.AsyncOpenAI(base_url=f"{router.http}/v1", api_key="none"))
    stream = await sdk.chat.completions.create(
        model="weak", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    stack.push_async_callback(stream.close)
    await anext(aiter(stream))
    return stream


async def until_let_in(router: Router) -> float:
    """Seconds until a request is not refused any more."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(60):
        while await ask(router) == 429:  # noqa: ASYNC110 - it tells when asked
            await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time() - started


async def test_replicas_share_the_slots_of_a_tenant_and_one_comes_free_when_its_caller_leaves(
    start_router: StartRouter, start_valkey: StartValkey
) -> None:
    valkey = await start_valkey()
    async with fake_engine() as slow, AsyncExitStack() as streams:
        slow.hold_after = 1
        one, other = await routers(start_router, slow.url, valkey.url, concurrent_requests=2)
        await answering(one, streams)
        await answering(other, streams)
        slow.hold_after = None
        assert [await ask(router) for router in (one, other)] == [429, 429]
        await streams.aclose()  # the callers leave
        assert await until_let_in(one) < 5
        assert await until_let_in(other) < 5


async def test_slots_of_a_router_that_was_killed_come_free(
    start_router: StartRouter, start_valkey: StartValkey
) -> None:
    valkey = await start_valkey()
    async with fake_engine() as slow, AsyncExitStack() as streams:
        slow.hold_after = 1
        one, other = await routers(start_router, slow.url, valkey.url, concurrent_requests=1)
        await answering(one, streams)
        slow.hold_after = None
        assert await ask(other) == 429
        await one.process.kill()
        assert 5 < await until_let_in(other) < LEASE + 10
        with suppress(openai.APIError):
            await streams.aclose()


async def test_over_grpc_a_tenant_without_a_free_slot_is_told_the_limits_name_and_when_to_come_back(
    start_router: StartRouter, start_valkey: StartValkey
) -> None:
    valkey = await start_valkey()
    async with fake_engine() as slow, AsyncExitStack() as streams:
        slow.hold_after = 1
        one, _ = await routers(start_router, slow.url, valkey.url, concurrent_requests=1)
        await answering(one, streams)
        async with calling(one.grpc) as caller:
            refusal = await failure(caller.route())
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (refusal.reason, refusal.retry_after) == ("CONCURRENT_REQUESTS", 1.0)
