"""A whole backend in this process, over real gRPC, before the fake engine: every error and the order of draining."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import orjson
import pytest
from grpc_health.v1 import health_pb2

from fakes.caller import NOT_SERVING, SERVING, Caller
from fakes.engine import FakeEngine, fake_engine
from steersman.api.v1 import backend_service_pb2 as pb
from steersman.backend.app import app
from steersman.backend.settings import BackendSettings, EngineSettings, QueueSettings
from steersman.runtime import errors, rpc_errors
from steersman.runtime.settings import GrpcServer, MetricsServer


def settings_for(engine: FakeEngine, *, length: int = 2, **engine_settings: Any) -> BackendSettings:
    return BackendSettings(
        tier="weak",
        grpc=GrpcServer(address="127.0.0.1:0", drain_seconds=5),
        metrics=MetricsServer(address="127.0.0.1:0"),
        engine=EngineSettings.model_validate({"url": engine.url, **engine_settings}),
        queue=QueueSettings(length=length),
    )


@asynccontextmanager
async def running(settings: BackendSettings) -> AsyncIterator[Caller]:
    async with app(settings) as addresses, Caller(addresses.grpc, addresses.metrics) as caller:
        yield caller


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine(slots=1) as engine:
        yield engine


@pytest.fixture
async def caller(engine: FakeEngine) -> AsyncIterator[Caller]:
    async with running(settings_for(engine, idle_timeout_seconds=0.2)) as caller:
        yield caller


async def test_a_stream_comes_chunk_by_chunk(caller: Caller, engine: FakeEngine) -> None:
    chunks = await caller.chunks()
    said = [orjson.loads(chunk)["choices"][0]["delta"].get("content") for chunk in chunks]
    assert "".join(word or "" for word in said) == "Hello there!"
    assert engine.seen[0].json["model"] == engine.model


async def test_a_whole_answer_is_one_element(caller: Caller) -> None:
    (body,) = await caller.chunks(stream=False)
    assert orjson.loads(body)["choices"][0]["message"]["content"] == "Hello there!"


async def test_a_caller_without_a_deadline_is_answered_in_its_turn(
    caller: Caller, engine: FakeEngine
) -> None:
    engine.hold_before_answer = True
    asked = [asyncio.create_task(caller.chunks(timeout=None)) for _ in range(2)]
    await caller.until(lambda load: load.waiting == 1)
    engine.release()
    assert all(await asyncio.gather(*asked))


async def test_the_model_is_told(caller: Caller, engine: FakeEngine) -> None:
    model = await caller.stub.GetModel(pb.GetModelRequest(), timeout=5)
    assert model == pb.GetModelResponse(model=engine.model, tier="weak", context_window=2048, slots=1)


async def test_the_load_rises_and_falls(caller: Caller, engine: FakeEngine) -> None:
    engine.hold_before_answer = True
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(caller.chunks())
        await caller.until(lambda load: (load.running, load.waiting, load.slots) == (1, 2, 1))
        engine.release()
    load = await caller.load()
    assert (load.running, load.waiting) == (0, 0)
    assert load.tokens_per_second > 0


async def test_a_full_queue_says_when_to_come_back(caller: Caller, engine: FakeEngine) -> None:
    engine.hold_before_answer = True
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(caller.chunks())
        await caller.until(lambda load: load.waiting == 2)
        error = await caller.error()
        engine.release()
    assert isinstance(error, errors.Overloaded)
    assert error.reason == "QUEUE_FULL"
    assert error.retry_after_seconds is not None
    assert 0 < error.retry_after_seconds <= 60


BROKEN: list[Any] = [
    pytest.param({"reset_after": 2}, errors.BrokenOff, "ENGINE_BROKE_OFF", id="reset"),
    pytest.param({"end_after": 2}, errors.BrokenOff, "ENGINE_BROKE_OFF", id="ended early"),
    pytest.param({"error_after": 2}, errors.BrokenOff, "ENGINE_FAILED", id="reported an error"),
    pytest.param({"hold_after": 2}, errors.BrokenOff, "ENGINE_STALLED", id="hung"),
    pytest.param({"die_before_answer": True}, errors.Unavailable, "ENGINE_UNREACHABLE", id="died at once"),
    pytest.param({"status": 429}, errors.Overloaded, "ENGINE_OVERLOADED", id="has no room"),
    pytest.param({"status": 500}, errors.Unavailable, "ENGINE_FAILED", id="failed"),
    pytest.param({"content_type": "text/html"}, errors.Unavailable, "ENGINE_GARBAGE", id="is a web page"),
]


@pytest.mark.parametrize(("knobs", "kind", "reason"), BROKEN)
async def test_an_engine_that_fails_is_a_typed_error_and_the_next_request_is_unharmed(
    caller: Caller, engine: FakeEngine, *, knobs: dict[str, Any], kind: type[errors.Error], reason: str
) -> None:
    before = {name: getattr(engine, name) for name in knobs}
    for name, value in knobs.items():
        setattr(engine, name, value)
    error = await caller.error()
    assert type(error) is kind
    assert error.reason == reason
    for name, value in before.items():
        setattr(engine, name, value)
    assert await caller.chunks()
    assert (await caller.load()).running == 0


async def test_an_engine_that_never_begins_is_given_up_and_the_next_request_is_unharmed(
    engine: FakeEngine,
) -> None:
    engine.hold_before_answer = True
    async with running(settings_for(engine, first_byte_timeout_seconds=0.3)) as caller:
        error = await caller.error()
        assert isinstance(error, errors.Unavailable)
        assert error.reason == "ENGINE_TIMEOUT"
        engine.hold_before_answer = False
        assert await caller.chunks()
        assert (await caller.load()).running == 0


async def test_what_the_engine_refuses_is_passed_on(caller: Caller, engine: FakeEngine) -> None:
    engine.status = 422
    error = await caller.error()
    assert isinstance(error, errors.Refused)
    assert error.status == 422
    assert orjson.loads(error.body)["error"]["type"] == "fake_error"


@pytest.mark.parametrize("words", [b"x" * 100_000, b"\xff" * 100_000, "ü".encode() * 50_000])
async def test_an_engine_that_refuses_at_length_is_still_heard(
    caller: Caller, engine: FakeEngine, words: bytes
) -> None:
    engine.status, engine.raw_body = 400, words
    error = await caller.error()
    assert isinstance(error, errors.Refused)
    assert error.status == 400


@pytest.mark.parametrize("body", [b"", b"\x00", b"[]", b'{"stream": 3}', b"\xff\xfe"])
async def test_a_body_that_is_no_request_is_an_invalid_argument(caller: Caller, body: bytes) -> None:
    call = caller.stub.Generate(pb.GenerateRequest(openai_body=body), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(rpc_errors.from_rpc_error(caught.value), errors.InvalidRequest)


@pytest.mark.parametrize("hold", ["hold_before_answer", "hold_after"])
async def test_a_caller_that_leaves_stops_the_engine(caller: Caller, engine: FakeEngine, hold: str) -> None:
    setattr(engine, hold, 2)
    call = caller.generate()
    await engine.until(running=1)
    call.cancel()
    await engine.until(running=0, disconnects=1)
    await caller.until(lambda load: load.running == 0)


async def test_a_caller_that_leaves_without_reading_stops_the_engine(engine: FakeEngine) -> None:
    engine.tokens = ["x" * 10_000] * 10_000
    async with running(settings_for(engine)) as caller:
        call = caller.generate()
        await call.read()
        await engine.until(running=1)
        await asyncio.sleep(0.2)  # until every buffer on the way is full
        assert engine.running == 1
        call.cancel()
        await engine.until(running=0)
        await caller.until(lambda load: load.running == 0)


async def test_a_caller_that_leaves_the_queue_frees_its_place(caller: Caller, engine: FakeEngine) -> None:
    engine.hold_before_answer = True
    calls = [caller.generate() for _ in range(3)]
    await caller.until(lambda load: load.waiting == 2)
    calls[1].cancel()
    await caller.until(lambda load: load.waiting == 1)
    for call in calls:
        call.cancel()
    await engine.until(running=0)
    assert len(engine.seen) <= 2


async def test_a_deadline_that_passes_while_waiting_or_running_is_told_as_such(
    caller: Caller, engine: FakeEngine
) -> None:
    engine.hold_before_answer = True
    held = caller.generate()
    await engine.until(running=1)
    assert isinstance(await caller.error(timeout=0.05), errors.DeadlineExceeded)
    held.cancel()
    assert isinstance(await caller.error(timeout=0.05), errors.DeadlineExceeded)
    await engine.until(running=0)


async def test_slots_can_be_set(engine: FakeEngine) -> None:
    async with running(settings_for(engine, slots=7)) as caller:
        assert (await caller.load()).slots == 7


async def test_it_starts_without_its_engine_and_notices_when_it_comes() -> None:
    async with AsyncExitStack() as later:
        async with fake_engine() as gone:
            pass
        async with running(settings_for(gone)) as caller:
            assert await caller.health("") == SERVING
            assert await caller.health("engine") == NOT_SERVING
            assert isinstance(await caller.error(), errors.Unavailable)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await caller.stub.GetModel(pb.GetModelRequest(), timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            await later.enter_async_context(fake_engine(port=int(gone.url.rpartition(":")[2]), slots=3))
            await caller.until_health("engine", SERVING)
            assert (await caller.load()).slots == 3
            assert await caller.chunks()


async def test_draining_finishes_what_runs_and_what_waits(engine: FakeEngine) -> None:
    engine.hold_after = 2
    service = app(settings_for(engine))
    addresses = await service.__aenter__()
    async with Caller(addresses.grpc, addresses.metrics) as caller:
        asked = [asyncio.create_task(caller.chunks()) for _ in range(2)]
        await caller.until(lambda load: (load.running, load.waiting) == (1, 1))
        watch = caller.health_stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert (await watch.read()).status == SERVING
        leaving = asyncio.create_task(service.__aexit__(None, None, None))
        assert (await watch.read()).status == NOT_SERVING
        engine.release()
        answers = await asyncio.gather(*asked)
        watch.cancel()
        await leaving
    assert [len(answer) for answer in answers] == [5, 5]


async def test_metrics_are_served(caller: Caller) -> None:
    await caller.chunks(stream=False)
    shown = await caller.metrics()
    assert 'steersman_backend_slots{tier="weak"} 1.0' in shown
    assert 'steersman_backend_tokens_total{direction="output",tier="weak"} 3.0' in shown
    assert 'method="steersman.api.v1.BackendService/Generate"' in shown
