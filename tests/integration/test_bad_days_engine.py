"""A real engine is killed or stopped in the middle of an answer: a typed error, never one that looks whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
import openai
import pytest
import pytest_asyncio

from fixtures.callers import Caller, body, calling, failure, openai_sdk, responses, until
from fixtures.real_parts import Engine, Starter
from fixtures.router_process import Router, RouterStarter, behind, direct, policies
from steersman.local.parts import Parts
from steersman.local.ports import Ports

TEXT = "Tell a very long story about a lighthouse keeper and the sea."
LONG: dict[str, Any] = {"max_tokens": 2000, "ignore_eos": True}
"""An answer that does not end by itself during a test."""
STALL = 5.0
PATIENCE = 10.0


@dataclass
class Day:
    """An engine of one's own, as a tier behind a backend and as one without."""

    engine: Engine
    router: Router
    caller: Caller

    async def fail(self, how: str) -> None:
        """Kill the engine, or stop it so that its connections stay open and nothing comes."""
        if how == "killed":
            await self.engine.process.kill()
        else:
            self.engine.process.pause()


BACKEND = {
    "ENGINE__IDLE_TIMEOUT_SECONDS": STALL,
    "ENGINE__FIRST_BYTE_TIMEOUT_SECONDS": PATIENCE,
    "ENGINE__UNARY_TIMEOUT_SECONDS": PATIENCE,
}
ROUTER = {
    "DISPATCH__IDLE_TIMEOUT_SECONDS": STALL,
    "DISPATCH__FIRST_BYTE_TIMEOUT_SECONDS": PATIENCE + 1,
    "DISPATCH__WHOLE_TIMEOUT_SECONDS": PATIENCE + 1,
    "DISPATCH__BREAKER_FAILURES": 100,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Engine, Router]]:
    """This module's own engine, backend and router."""
    async with AsyncExitStack() as stack:
        engines = Starter(parts, ports, tmp_path_factory.mktemp("engine"))
        stack.push_async_callback(engines.close)
        engine = await engines.engine()
        ours = RouterStarter(parts, ports, tmp_path_factory.mktemp("router"))
        stack.push_async_callback(ours.close)
        backend = await ours.backend(engine.url, **BACKEND)
        router = await ours.start(
            policies(direct(engine.url, model=engine.model), behind(backend.grpc, model=engine.model)),
            settings=ROUTER,
        )
        yield engine, router


@pytest.fixture
async def day(shared: tuple[Engine, Router]) -> AsyncIterator[Day]:
    """All is well, as it will be again."""
    engine, router = shared
    engine.process.resume()
    if not engine.process.running:
        await engine.process.restart()
    async with calling(router.grpc) as caller:

        async def answers() -> bool:
            try:
                return all([(await caller.complete(model=tier)).text for tier in ("weak", "strong")])
            except grpc.aio.AioRpcError:
                return False

        await until(answers)
        yield Day(engine, router, caller)


REASONS = {"killed": {"ENGINE_BROKE_OFF"}, "stopped": {"ENGINE_STALLED"}}


@pytest.mark.parametrize("how", REASONS)
async def test_a_stream_ends_with_a_typed_error_over_grpc_behind_a_backend_and_without(
    day: Day, how: str
) -> None:
    calls = [day.caller.chat(openai_body=body(TEXT, model=tier, **LONG)) for tier in ("weak", "strong")]
    begun = [await call.read() for call in calls]
    assert [each.decision.tier for each in begun] == ["weak", "strong"]
    await asyncio.gather(*(call.read() for call in calls))
    await day.fail(how)
    for error in await asyncio.gather(*(failure(responses(call)) for call in calls)):
        assert error.code is grpc.StatusCode.ABORTED
        assert error.domain == "steersman.dev"
        assert error.reason in REASONS[how]
        assert error.retry_after is None


@pytest.mark.parametrize("how", REASONS)
async def test_a_stream_ends_with_an_error_object_over_http_behind_a_backend_and_without(
    day: Day, how: str
) -> None:
    url = f"{day.router.http}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, openai_sdk(day.router.http) as sdk:
        bodies = [body(TEXT, model=tier, stream=True, **LONG) for tier in ("weak", "strong")]
        raw = [await session.post(url, data=each) for each in bodies]
        stream = await sdk.chat.completions.create(
            model="strong",
            messages=[{"role": "user", "content": TEXT}],
            max_tokens=2000,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        assert (await anext(aiter(stream))).choices
        begun = [await response.content.readany() for response in raw]
        await day.fail(how)
        for beginning, response in zip(begun, raw, strict=True):
            said = beginning + await response.read()
            assert b"[DONE]" not in said
            assert b'"finish_reason":"' not in said
            first, *_, last = said.strip().split(b"\n\n")
            assert first.startswith(b'data: {"choices":')
            assert last.startswith(b'data: {"error":{')
            assert any(reason.lower().encode() in last for reason in REASONS[how])
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass


@pytest.mark.parametrize("how", REASONS)
async def test_a_whole_answer_that_never_comes_is_unavailable(day: Day, how: str) -> None:
    asked = [
        asyncio.create_task(failure(day.caller.complete(openai_body=body(TEXT, model=tier, **LONG))))
        for tier in ("weak", "strong")
    ]

    async def at_work() -> bool:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{day.engine.url}/slots") as response,
        ):
            return [slot["is_processing"] for slot in await response.json()].count(True) == 2

    await until(at_work)
    await day.fail(how)
    for error in await asyncio.gather(*asked):
        assert error.code is grpc.StatusCode.UNAVAILABLE
        assert error.retry_after is not None


async def test_an_engine_that_is_stopped_before_the_first_byte_is_unavailable_in_time(day: Day) -> None:
    day.engine.process.pause()
    async with asyncio.timeout(PATIENCE + 5):
        calls = [day.caller.chat(model=tier) for tier in ("weak", "strong")]
        errors = await asyncio.gather(*(failure(responses(call)) for call in calls))
    for error in errors:
        assert error.code is grpc.StatusCode.UNAVAILABLE
        assert error.reason in {"FIRST_BYTE_TIMEOUT", "ENGINE_TIMEOUT"}
        assert error.retry_after is not None
