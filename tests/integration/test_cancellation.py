"""A caller that leaves stops the work: seen at the real engine's slots, behind a real backend, and at a direct one.

llama.cpp looks whether the caller of a whole answer is still there only after a second in which no request of any kind
made progress, being asked for its slots included: so it is asked less often than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import grpc
import pytest

from fakes.engine import FakeEngine
from fixtures.callers import Caller, body, calling, failure, fetch, metric, responses, until
from fixtures.router_process import Router
from steersman.local.system import System

TEXT = "Tell a very long story about a lighthouse keeper and the sea."
LONG: dict[str, Any] = {"max_tokens": 1500, "ignore_eos": True, "model": "weak"}
"""An answer that does not end by itself during a test."""
Leave = Callable[[str, str], Awaitable[None]]
"""Asks a router, by the addresses of its gRPC and HTTP ports, and leaves once the answer is being made."""


async def leave_grpc_stream(rpc: str, _: str) -> None:
    async with calling(rpc) as caller:
        call = caller.chat(openai_body=body(TEXT, **LONG))
        await call.read()
        call.cancel()


async def leave_grpc_stream_without_a_word(rpc: str, _: str) -> None:
    async with calling(rpc) as caller:
        await caller.chat(openai_body=body(TEXT, **LONG)).read()


async def leave_http_stream(_: str, http: str) -> None:
    url = f"{http}/v1/chat/completions"
    data = body(TEXT, **LONG, stream=True)
    async with aiohttp.ClientSession() as session, session.post(url, data=data) as response:
        await response.content.readany()


STREAMS: list[Leave] = [leave_grpc_stream, leave_grpc_stream_without_a_word, leave_http_stream]


async def busy(system: System) -> int:
    """Slots of the weak engine that are at work."""
    slots = (await fetch(f"{system.addresses.weak_engine}/slots")).json
    return sum(slot["is_processing"] for slot in slots)


async def until_busy(system: System, count: int, *, pause: float) -> None:
    async def reached() -> bool:
        return await busy(system) == count

    await until(reached, seconds=10, pause=pause)


@pytest.fixture
async def idle(system: System) -> AsyncIterator[None]:
    """The engine is idle before and after the test, and so is the router."""
    await until_busy(system, 0, pause=0.2)
    yield
    await until_busy(system, 0, pause=1.5)

    async def forgotten() -> bool:
        return await metric(system.addresses.metrics, "steersman_demand") == 0

    await until(forgotten)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("leave", STREAMS)
async def test_the_slot_of_a_stream_is_free_soon_after_its_caller_has_left(
    system: System, leave: Leave
) -> None:
    await leave(system.addresses.router_grpc, system.addresses.router_http)
    await until_busy(system, 0, pause=0.2)


@pytest.mark.usefixtures("idle")
async def test_the_slot_of_a_whole_answer_is_free_soon_after_its_grpc_caller_has_left(system: System) -> None:
    async with calling(system.addresses.router_grpc) as caller:
        asked = asyncio.create_task(caller.complete(openai_body=body(TEXT, **LONG)))
        await until_busy(system, 1, pause=0.05)
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked


@pytest.mark.usefixtures("idle")
async def test_the_slot_of_a_whole_answer_is_free_soon_after_its_http_caller_has_left(system: System) -> None:
    url = f"{system.addresses.router_http}/v1/chat/completions"
    data = body(TEXT, **LONG)
    asked = asyncio.create_task(fetch(url, data=data))
    await until_busy(system, 1, pause=0.05)
    asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked


@pytest.mark.usefixtures("idle")
async def test_the_slot_is_free_soon_after_the_callers_deadline_has_passed(system: System) -> None:
    async with calling(system.addresses.router_grpc) as caller:
        stream = caller.chat(openai_body=body(TEXT, **LONG), seconds=1)
        error = await failure(responses(stream))
        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await until_busy(system, 0, pause=0.2)


@pytest.fixture
async def caller(router: Router) -> AsyncIterator[Caller]:
    async with calling(router.grpc) as caller:
        yield caller


@pytest.mark.parametrize("over", ["grpc", "http"])
@pytest.mark.parametrize(
    ("stream", "hold"),
    [(False, "hold_before_answer"), (True, "hold_before_answer"), (True, "hold_after")],
    ids=["whole", "stream, before", "stream, in the middle"],
)
async def test_a_direct_engine_sees_its_caller_leave_before_and_in_the_middle_of_an_answer(
    router: Router, caller: Caller, engines: dict[str, FakeEngine], *, hold: str, over: str, stream: bool
) -> None:
    engine = engines["weak"]
    setattr(engine, hold, 2)
    url, data = f"{router.http}/v1/chat/completions", body(model="weak", stream=stream)
    asked: asyncio.Task[Any]
    if over == "http":
        asked = asyncio.create_task(fetch(url, data=data))
    elif stream:
        asked = asyncio.create_task(responses(caller.chat(openai_body=data)))
    else:
        asked = asyncio.create_task(caller.complete(openai_body=data))
    await engine.until(running=1)
    asked.cancel()
    await engine.until(running=0, disconnects=1)
    with suppress(asyncio.CancelledError):
        await asked

    async def forgotten() -> bool:
        return await metric(router.metrics, "steersman_demand") == 0

    await until(forgotten)


async def test_a_caller_that_leaves_is_counted_as_such(
    router: Router, caller: Caller, engines: dict[str, FakeEngine]
) -> None:
    engines["weak"].hold_before_answer = True
    before = await metric(router.metrics, "steersman_requests_total", outcome="CANCELLED")
    call = caller.chat(model="weak")
    await engines["weak"].until(running=1)
    call.cancel()

    async def counted() -> bool:
        return await metric(router.metrics, "steersman_requests_total", outcome="CANCELLED") == before + 1

    await until(counted)
    assert b"unforeseen" not in router.process.log.read_bytes()


async def test_one_of_two_callers_with_the_same_new_question_may_leave(system: System) -> None:
    text = "Two callers ask this at once, and the first of them does not stay for the score."
    async with (
        calling(system.addresses.router_grpc) as first,
        calling(system.addresses.router_grpc) as second,
    ):
        leaving = asyncio.create_task(first.route(text))
        staying = asyncio.create_task(second.route(text))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).HasField("score")
        with suppress(asyncio.CancelledError):
            await leaving
