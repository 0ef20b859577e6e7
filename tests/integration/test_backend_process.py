"""A real backend process before a real engine: cancellation, overload, a dead and a hung engine, drain."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from fakes.caller import NOT_SERVING, SERVING, Caller
from fixtures.real_parts import Engine, StartEngine
from steersman.api.v1 import backend_service_pb2 as pb
from steersman.local.ports import Ports
from steersman.local.probes import grpc_serving
from steersman.local.processes import Process, Program
from steersman.openai_api.client import EngineClient
from steersman.runtime import errors, rpc_errors

LONG = {"max_tokens": 2000, "ignore_eos": True}
"""An answer that does not end by itself during a test."""


@dataclass
class Backend:
    """A running backend process."""

    caller: Caller
    process: Process


StartBackend = Callable[..., Awaitable[Backend]]


@pytest.fixture
async def start_backend(ports: Ports, tmp_path: Path) -> AsyncIterator[StartBackend]:
    async with AsyncExitStack() as stack:

        async def start(engine: Engine, **settings: str) -> Backend:
            addresses = [f"127.0.0.1:{ports.take()}" for _ in range(2)]
            program = Program(
                name="backend",
                argv=(sys.executable, "-m", "steersman.backend"),
                environment={
                    "STEERSMAN_TIER": "weak",
                    "STEERSMAN_ENGINE__URL": engine.url,
                    "STEERSMAN_GRPC__ADDRESS": addresses[0],
                    "STEERSMAN_METRICS__ADDRESS": addresses[1],
                    **{f"STEERSMAN_{name.upper()}": value for name, value in settings.items()},
                },
                ready=grpc_serving(addresses[0], service="engine"),
            )
            process = await stack.enter_async_context(Process(program, logs=tmp_path))
            caller = await stack.enter_async_context(Caller(addresses[0], addresses[1]))
            return Backend(caller, process)

        yield start


async def working(engine: Engine) -> int:
    """Slots of the engine that are at work, by its own word."""
    async with EngineClient(url=engine.url) as client:
        return sum(slot["is_processing"] for slot in await client.get_json("/slots", timeout=10))


async def until_working(engine: Engine, count: int) -> None:
    async with asyncio.timeout(20):
        while await working(engine) != count:  # noqa: ASYNC110 - an engine tells only when asked
            await asyncio.sleep(0.1)


async def rest_of(call: Any) -> list[bytes]:
    chunks: list[bytes] = []
    while (response := await call.read()) is not grpc.aio.EOF:
        chunks += response.openai_chunks
    return chunks


async def error_of(call: Any) -> errors.Error:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest_of(call)
    return rpc_errors.from_rpc_error(caught.value)


async def test_answers_stream_and_come_whole(start_backend: StartBackend, engine: Engine) -> None:
    backend = await start_backend(engine)
    chunks = [orjson.loads(chunk) for chunk in await backend.caller.chunks(max_tokens=8)]
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    (body,) = await backend.caller.chunks(stream=False, max_tokens=8)
    assert orjson.loads(body)["usage"]["completion_tokens"] > 0


async def test_the_engines_own_model_and_slots_are_known(start_backend: StartBackend, engine: Engine) -> None:
    backend = await start_backend(engine)
    model = await backend.caller.stub.GetModel(pb.GetModelRequest(), timeout=5)
    assert (model.model, model.tier, model.slots) == (engine.model, "weak", engine.slots)
    assert model.context_window > 0


async def test_a_caller_that_leaves_frees_the_engines_slot(
    start_backend: StartBackend, engine: Engine
) -> None:
    backend = await start_backend(engine)
    call = backend.caller.generate(timeout=60, **LONG)
    await call.read()
    assert await working(engine) == 1
    call.cancel()
    await until_working(engine, 0)
    await backend.caller.until(lambda load: load.running == 0)


async def test_the_load_rises_and_falls(start_backend: StartBackend, engine: Engine) -> None:
    backend = await start_backend(engine)
    first = backend.caller.generate(timeout=60, **LONG)
    await first.read()
    calls = [first, *(backend.caller.generate(timeout=60, **LONG) for _ in range(engine.slots))]
    await backend.caller.until(lambda load: (load.running, load.waiting) == (engine.slots, 1))
    assert (await backend.caller.load()).tokens_per_second > 0
    for call in calls:
        call.cancel()
    await backend.caller.until(lambda load: (load.running, load.waiting) == (0, 0))
    await until_working(engine, 0)


async def test_a_full_queue_says_when_to_come_back(start_backend: StartBackend, engine: Engine) -> None:
    backend = await start_backend(engine, engine__slots="1", queue__length="1")
    calls = [backend.caller.generate(timeout=60, **LONG) for _ in range(2)]
    await backend.caller.until(lambda load: (load.running, load.waiting) == (1, 1))
    error = await backend.caller.error(max_tokens=1)
    assert isinstance(error, errors.Overloaded)
    assert error.reason == "QUEUE_FULL"
    assert error.retry_after_seconds is not None
    for call in calls:
        call.cancel()
    await until_working(engine, 0)


async def test_an_engine_killed_in_the_middle_is_an_error_with_its_reason(
    start_backend: StartBackend, start_engine: StartEngine
) -> None:
    engine = await start_engine(slots=1)
    backend = await start_backend(engine)
    call = backend.caller.generate(timeout=60, **LONG)
    await call.read()
    await engine.process.kill()
    error = await error_of(call)
    assert isinstance(error, errors.BrokenOff)
    assert error.reason == "ENGINE_BROKE_OFF"
    after = await backend.caller.error()
    assert isinstance(after, errors.Unavailable)
    assert after.reason == "ENGINE_UNREACHABLE"


async def test_health_follows_the_engine_and_it_serves_again_when_the_engine_is_back(
    start_backend: StartBackend, start_engine: StartEngine
) -> None:
    engine = await start_engine(slots=1)
    backend = await start_backend(engine, engine__refresh_seconds="0.2")
    await engine.process.kill()
    await backend.caller.until_health("engine", NOT_SERVING)
    assert await backend.caller.health("") == SERVING
    await engine.process.start()
    await backend.caller.until_health("engine", SERVING)
    assert await backend.caller.chunks(max_tokens=2)


async def test_an_engine_that_hangs_in_the_middle_is_an_error_with_its_reason(
    start_backend: StartBackend, start_engine: StartEngine
) -> None:
    engine = await start_engine(slots=1)
    backend = await start_backend(engine, engine__idle_timeout_seconds="1")
    call = backend.caller.generate(timeout=60, **LONG)
    await call.read()
    engine.process.pause()
    error = await error_of(call)
    engine.process.resume()
    assert isinstance(error, errors.BrokenOff)
    assert error.reason == "ENGINE_STALLED"
    await until_working(engine, 0)
    assert await backend.caller.chunks(max_tokens=2)


async def test_an_engine_that_hangs_before_it_begins_lets_another_be_asked(
    start_backend: StartBackend, start_engine: StartEngine
) -> None:
    engine = await start_engine(slots=1)
    backend = await start_backend(engine, engine__first_byte_timeout_seconds="0.5")
    engine.process.pause()
    error = await backend.caller.error()
    engine.process.resume()
    assert isinstance(error, errors.Unavailable)
    assert error.reason == "ENGINE_TIMEOUT"


async def test_sigterm_lets_a_stream_finish(start_backend: StartBackend, engine: Engine) -> None:
    backend = await start_backend(engine)
    counted = {"stream_options": {"include_usage": True}}
    call = backend.caller.generate(timeout=60, max_tokens=60, ignore_eos=True, **counted)
    await call.read()
    backend.process.send(signal.SIGTERM)
    rest = [orjson.loads(chunk) for chunk in await rest_of(call)]
    assert rest[-2]["choices"][0]["finish_reason"] == "length"
    assert rest[-1]["usage"]["completion_tokens"] == 60
    assert await backend.process.ended() == 0


async def test_bad_settings_are_named_and_their_values_are_not(
    start_backend: StartBackend, engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="STEERSMAN_QUEUE__LENGTH"):
        await start_backend(engine, queue__length="sk-secret")
    assert "sk-secret" not in (tmp_path / "backend.log").read_text()


async def test_a_port_that_is_taken_is_said(start_backend: StartBackend, engine: Engine) -> None:
    first = await start_backend(engine)
    taken = first.process.program.environment["STEERSMAN_GRPC__ADDRESS"]
    with pytest.raises(Exception, match=f"cannot listen on {taken}"):
        await start_backend(engine, grpc__address=taken)
