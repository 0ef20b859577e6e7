from __future__ import annotations

import asyncio
import logging

import pytest

from steersman.runtime import tasks
from steersman.runtime.tasks import BackgroundTasks


async def test_a_task_runs_until_its_group_ends() -> None:
    ended = asyncio.Event()
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with BackgroundTasks() as group:
        group.start("worker", work)
        await asyncio.wait_for(began.wait(), 5)
        assert not ended.is_set()
    assert ended.is_set()


async def test_a_task_that_fails_is_logged_counted_and_started_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "_RESTART_SECONDS", 0)
    failures: list[str] = []
    third = asyncio.Event()

    async def work() -> None:
        if len(failures) < 2:
            raise RuntimeError("as the test wishes")
        third.set()
        await asyncio.Event().wait()

    caplog.set_level(logging.ERROR)
    async with BackgroundTasks(on_failure=failures.append) as group:
        group.start("worker", work)
        await asyncio.wait_for(third.wait(), 5)
    assert failures == ["worker", "worker"]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


async def test_a_task_that_fails_by_a_cancelled_call_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_RESTART_SECONDS", 0)
    failures: list[str] = []
    again = asyncio.Event()

    async def work() -> None:
        if not failures:
            call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            call.cancel()  # as gRPC does with calls on a channel that is closed
            await call
        again.set()
        await asyncio.Event().wait()

    async with BackgroundTasks(on_failure=failures.append) as group:
        group.start("worker", work)
        await asyncio.wait_for(again.wait(), 5)
    assert failures == ["worker"]


async def test_a_task_that_ends_by_itself_is_not_started_anew() -> None:
    runs = 0
    ran = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        ran.set()

    async with BackgroundTasks() as group:
        group.start("worker", work)
        await asyncio.wait_for(ran.wait(), 5)
        for _ in range(5):
            await asyncio.sleep(0)
        assert group._tasks == set()
    assert runs == 1


async def test_the_group_waits_for_what_its_tasks_do_last() -> None:
    cleaned = False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned = True

    async with BackgroundTasks() as group:
        group.start("worker", work)
        await asyncio.sleep(0)
    assert cleaned
