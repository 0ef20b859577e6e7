from __future__ import annotations

import asyncio

import pytest
from benchmarks import load


async def answer() -> str:
    await asyncio.sleep(0)
    return "answer"


async def test_a_closed_loop_keeps_so_many_questions_in_progress() -> None:
    running = most = 0
    full = asyncio.Event()

    async def call() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 5:
            full.set()
        await full.wait()
        running -= 1

    async with asyncio.timeout(10):
        await load.closed_loop(call, streams=5, seconds=0.3)

    assert most == 5


async def test_a_closed_loop_times_every_answer() -> None:
    found = await load.closed_loop(answer, streams=2, seconds=0.2)

    assert len(found.answers) == len(found.waits) > 0
    assert found.seconds >= 0.2


async def test_an_open_loop_asks_as_often_as_it_should() -> None:
    found = await load.open_loop(answer, rate=1000.0, seconds=0.05)

    assert len(found.answers) == 50


async def test_an_open_loop_times_an_answer_from_when_its_question_was_due() -> None:
    loop = asyncio.get_running_loop()
    stalled = loop.time() + 0.05

    async def call() -> None:
        # Holds up the generator itself, as a server does that takes all of the processor.
        while loop.time() < stalled:
            pass

    found = await load.open_loop(call, rate=1000.0, seconds=0.05)

    assert max(found.waits) >= 0.045
    assert sum(wait > 0.02 for wait in found.waits) > 20


async def test_an_open_loop_gives_up_on_a_server_that_does_not_keep_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "_MOST_OUTSTANDING", 10)
    never = asyncio.Event()

    with pytest.raises(load.LoadFailed, match="more than 10 requests"):
        await load.open_loop(never.wait, rate=10_000.0, seconds=5.0)


async def test_a_question_without_an_answer_ends_the_load() -> None:
    async def call() -> None:
        raise ConnectionResetError("gone")

    with pytest.raises(load.LoadFailed, match="ConnectionResetError: gone"):
        await load.closed_loop(call, streams=2, seconds=5.0)


async def test_each_question_is_asked_once() -> None:
    async def ask(question: int) -> int:
        await asyncio.sleep(0)
        return question

    found = await load.each_once(ask, range(100), streams=7, seconds=10.0)

    assert sorted(found.answers) == list(range(100))
    assert len(found.waits) == 100
