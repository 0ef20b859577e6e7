from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from fakes.scripted_engine import ScriptedEngine
from steersman.backend.metrics import BackendMetrics
from steersman.backend.openai_body import Request, parse
from steersman.backend.serving import Serving
from steersman.backend.slots import Slots
from steersman.runtime import errors

USAGE = b'{"choices":[],"usage":{"completion_tokens":8,"prompt_tokens":5}}'


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def request(**fields: Any) -> Request:
    return parse(orjson.dumps({"model": "the-model", "stream": True, **fields}))


class Backend:
    """A `Serving` with its parts in reach."""

    def __init__(
        self, engine: ScriptedEngine, *, slots: int = 1, length: int = 1, max_wait: float = 60
    ) -> None:
        self.engine = engine
        self.slots = Slots(slots=slots, length=length)
        self.registry = CollectorRegistry()
        self.clock = Clock()
        self.serving = Serving(
            engine=engine,
            slots=self.slots,
            metrics=BackendMetrics(self.registry, tier="weak"),
            tier="weak",
            max_wait=max_wait,
            clock=self.clock,
        )

    async def ask(self, asked: Request | None = None, *, seconds_left: float | None = None) -> list[bytes]:
        answer = self.serving.generate(asked or request(), seconds_left=seconds_left)
        return [chunk async for chunks in answer for chunk in chunks]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - nothing in a Serving tells of its changes
                await asyncio.sleep(0)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"steersman_backend_{name}", {"tier": "weak", **labels})


async def test_what_the_engine_says_is_passed_on_as_it_comes_together() -> None:
    backend = Backend(ScriptedEngine(script=([b"1"], [b"2", b"3"])))
    answer = backend.serving.generate(request(), seconds_left=None)
    assert [chunks async for chunks in answer] == [[b"1"], [b"2", b"3"]]
    assert backend.slots.running == 0


async def test_the_engine_gets_a_model_that_it_knows() -> None:
    backend = Backend(ScriptedEngine())
    await backend.ask(request(model="auto"))
    assert orjson.loads(backend.engine.bodies[0])["model"] == "the-model"


async def test_no_more_run_than_there_are_slots() -> None:
    go = asyncio.Event()
    backend = Backend(ScriptedEngine(script=(go, [b"1"])), slots=2, length=10)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(6):
            tasks.create_task(backend.ask())
        await backend.until(lambda: backend.serving.load().waiting == 4)
        assert backend.serving.load().running == 2
        go.set()
    assert backend.engine.most_running == 2
    assert (backend.serving.load().waiting, backend.serving.load().running) == (0, 0)


async def test_a_full_queue_is_overloaded() -> None:
    go = asyncio.Event()
    backend = Backend(ScriptedEngine(script=(go,)), slots=1, length=0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(backend.ask())
        await backend.until(lambda: backend.engine.running == 1)
        with pytest.raises(errors.Overloaded):
            await backend.ask()
        go.set()


async def test_waiting_ends_with_the_queues_patience() -> None:
    backend = Backend(ScriptedEngine(), max_wait=0.001)
    await backend.slots.acquire(patience=1)
    with pytest.raises(errors.Overloaded) as caught:
        await backend.ask()
    assert caught.value.reason == "QUEUE_TIMEOUT"


async def test_waiting_ends_with_the_callers_deadline() -> None:
    backend = Backend(ScriptedEngine(), max_wait=60)
    await backend.slots.acquire(patience=1)
    with pytest.raises(errors.DeadlineExceeded):
        await backend.ask(seconds_left=0.001)
    assert backend.serving.load().waiting == 0


async def test_a_caller_that_leaves_while_waiting_frees_its_place() -> None:
    backend = Backend(ScriptedEngine())
    await backend.slots.acquire(patience=1)
    asked = asyncio.create_task(backend.ask())
    await backend.until(lambda: backend.serving.load().waiting == 1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert backend.serving.load().waiting == 0
    assert backend.engine.bodies == []


async def test_a_caller_that_leaves_while_running_stops_the_engine_and_frees_its_slot() -> None:
    backend = Backend(ScriptedEngine(script=([b"1"], asyncio.Event())))
    asked = asyncio.create_task(backend.ask())
    await backend.until(lambda: backend.engine.running == 1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert backend.engine.running == 0
    assert backend.slots.running == 0


async def test_an_answer_closed_half_way_frees_its_slot() -> None:
    backend = Backend(ScriptedEngine(script=([b"1"], asyncio.Event())))
    answer = backend.serving.generate(request(), seconds_left=None)
    assert await anext(answer) == [b"1"]
    await answer.aclose()
    assert (backend.engine.running, backend.slots.running) == (0, 0)


@pytest.mark.parametrize(
    "error",
    [
        errors.BrokenOff("broke", reason="ENGINE_STALLED"),
        errors.Unavailable("away", reason="ENGINE_UNREACHABLE"),
        errors.Refused("no", status=400, body=b"{}"),
    ],
)
async def test_what_goes_wrong_in_the_engine_is_told_counted_and_frees_the_slot(error: errors.Error) -> None:
    backend = Backend(ScriptedEngine(script=([b"1"], error)))
    with pytest.raises(type(error)) as caught:
        await backend.ask()
    assert caught.value is error
    assert backend.slots.running == 0
    assert backend.metric("engine_errors_total", reason=error.reason) == 1


async def test_tokens_are_counted_as_chunks_and_put_right_by_the_engines_count() -> None:
    held = asyncio.Event()
    backend = Backend(ScriptedEngine(script=([b"1", b"2"], held, [b"3", USAGE])))
    answer = backend.serving.generate(request(), seconds_left=None)
    await anext(answer)
    assert backend.serving.load().tokens_per_second == pytest.approx(0.2)
    held.set()
    async for _ in answer:
        pass
    assert backend.serving.load().tokens_per_second == pytest.approx(0.8)
    assert backend.metric("tokens_total", direction="output") == 8
    assert backend.metric("tokens_total", direction="input") == 5
    backend.clock.now += 11
    assert backend.serving.load().tokens_per_second == 0


async def test_a_whole_answer_counts_by_its_usage() -> None:
    backend = Backend(ScriptedEngine(script=([USAGE],)))
    await backend.ask(request(stream=False))
    assert backend.serving.load().tokens_per_second == pytest.approx(0.8)


async def test_waits_and_first_bytes_are_measured() -> None:
    backend = Backend(ScriptedEngine())
    await backend.ask()
    await backend.ask(request(stream=False))
    assert backend.metric("queue_wait_seconds_count") == 2
    assert backend.metric("first_byte_seconds_count") == 1


def test_every_reason_to_fail_is_shown_from_the_start() -> None:
    backend = Backend(ScriptedEngine())
    assert backend.metric("engine_errors_total", reason="ENGINE_STALLED") == 0


async def test_draining_refuses_newcomers_and_finishes_the_queue() -> None:
    go = asyncio.Event()
    backend = Backend(ScriptedEngine(script=(go, [b"1"])))
    async with asyncio.TaskGroup() as tasks:
        running, waiting = tasks.create_task(backend.ask()), tasks.create_task(backend.ask())
        await backend.until(lambda: backend.serving.load().waiting == 1)
        backend.serving.drain()
        assert backend.serving.load().draining
        with pytest.raises(errors.Unavailable) as caught:
            await backend.ask()
        go.set()
    assert caught.value.reason == "DRAINING"
    assert running.result() == waiting.result() == [b"1"]


def test_the_model_is_unavailable_until_the_engine_was_reached() -> None:
    backend = Backend(ScriptedEngine(served=None))
    with pytest.raises(errors.Unavailable) as caught:
        backend.serving.model()
    assert caught.value.reason == "ENGINE_UNREACHABLE"


async def test_the_load_is_shown_when_scraped() -> None:
    backend = Backend(ScriptedEngine())
    BackendMetrics(registry := CollectorRegistry(), tier="weak").observe_load(
        backend.serving.load, reachable=lambda: True
    )
    await backend.slots.acquire(patience=1)
    shown = {
        name: registry.get_sample_value(f"steersman_backend_{name}", {"tier": "weak"})
        for name in ("requests_running", "requests_waiting", "slots", "engine_reachable")
    }
    assert shown == {"requests_running": 1, "requests_waiting": 0, "slots": 1, "engine_reachable": 1}
