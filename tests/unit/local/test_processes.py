"""A process is ready when its start returns, ends for certain, and never outlives whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from steersman.local import launch
from steersman.local.parts import Parts
from steersman.local.processes import Process, Program, StartFailed

READY = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch();"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
WAIT = "import signal; signal.pause()"
PARENT = """
import asyncio, sys
from pathlib import Path
from steersman.local.processes import Process, Program

async def ready():
    return Path(sys.argv[1]).exists()

async def main():
    child = Program("child", (sys.executable, "-c", sys.argv[2], sys.argv[1]), ready)
    async with Process(child, logs=Path(sys.argv[1]).parent) as process:
        print(process.pid, flush=True)
        await process.ended()

asyncio.run(main())
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that a child touches once it is ready."""
    return tmp_path / "ready"


def program(code: str, mark: Path, *, stop_seconds: float = 5.0, start_seconds: float = 10.0) -> Program:
    async def ready() -> bool:
        return os.access(mark, os.F_OK)

    return Program(
        name="child",
        argv=(sys.executable, "-c", code, str(mark)),
        ready=ready,
        stop_seconds=stop_seconds,
        start_seconds=start_seconds,
    )


@pytest_asyncio.fixture
async def child(mark: Path, tmp_path: Path) -> AsyncIterator[Process]:
    async with Process(program(READY + WAIT, mark), logs=tmp_path) as process:
        yield process


async def test_a_start_returns_once_the_process_is_ready(child: Process, mark: Path) -> None:
    assert os.access(mark, os.F_OK)
    assert child.running


async def test_a_process_that_ends_before_it_is_ready_says_what_it_said(mark: Path, tmp_path: Path) -> None:
    process = Process(program("print('no such model'); raise SystemExit(3)", mark), logs=tmp_path)
    with pytest.raises(StartFailed, match="no such model"):
        await process.start()
    assert not process.running


async def test_a_process_that_is_not_ready_in_time_is_ended(mark: Path, tmp_path: Path) -> None:
    process = Process(program(WAIT, mark, start_seconds=0.2), logs=tmp_path)
    with pytest.raises(StartFailed, match="was not ready in time"):
        await process.start()
    assert not process.running


async def test_a_stop_lets_the_process_end_by_itself(child: Process) -> None:
    await child.stop()
    assert await child.ended() == -signal.SIGTERM


async def test_a_stop_kills_what_does_not_end(mark: Path, tmp_path: Path) -> None:
    process = Process(program(STUBBORN + READY + WAIT, mark, stop_seconds=0.2), logs=tmp_path)
    await process.start()
    await process.stop()
    assert await process.ended() == -signal.SIGKILL


async def test_a_paused_process_is_stopped_all_the_same(child: Process) -> None:
    child.pause()
    await until(child.pid, psutil.STATUS_STOPPED)
    await child.stop()
    assert not child.running


async def test_a_killed_process_can_be_started_again(child: Process) -> None:
    before = child.pid
    await child.kill()
    assert not child.running
    await child.restart()
    assert child.running
    assert child.pid != before


async def test_a_kill_reaches_what_the_process_started(mark: Path, tmp_path: Path) -> None:
    start_grandchild = (
        f"import subprocess; print(subprocess.Popen([{sys.executable!r}, '-c', {WAIT!r}]).pid, flush=True);"
    )
    process = Process(program(start_grandchild + READY + WAIT, mark), logs=tmp_path)
    await process.start()
    grandchild = int(process.log.read_text())
    await process.kill()
    await until(grandchild, psutil.STATUS_DEAD)


async def test_children_die_with_a_parent_that_is_killed(mark: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Parts().services)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(mark), READY + WAIT, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await until(child, psutil.STATUS_DEAD)


async def test_what_an_ended_process_leaves_behind_is_tidied(mark: Path, tmp_path: Path) -> None:
    process = Process(replace(program(READY + WAIT, mark), tidy=mark.unlink), logs=tmp_path)
    await process.start()
    await process.kill()
    assert not os.access(mark, os.F_OK)


async def test_settings_of_the_callers_environment_are_not_passed_on(
    mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEERSMAN_POLICY_FILE", "elsewhere")
    code = "import os; print(sorted(name for name in os.environ if 'STEERSMAN' in name), flush=True);"
    async with Process(program(code + READY + WAIT, mark), logs=tmp_path) as process:
        assert process.log.read_text() == "[]\n"


def test_the_launcher_can_run_isolated() -> None:
    """It is started without site packages, so it must not import any of ours."""
    source = Path(launch.__file__).read_text()
    assert "steersman" not in source


async def until(pid: int, wanted: str) -> None:
    """Wait until any process, also one that is no child of ours, has a status."""
    async with asyncio.timeout(5):
        while status(pid) != wanted:  # noqa: ASYNC110  # the kernel has no event for this
            await asyncio.sleep(0.01)


def status(pid: int) -> str:
    try:
        found: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD
    return psutil.STATUS_DEAD if found == psutil.STATUS_ZOMBIE else found
