"""The process that holds the system of `make up`: starts it, waits for SIGTERM, stops it.

It locks its pid file as long as it lives. The kernel lets go of the lock however the process ends, so a file that is
not locked is stale, whatever number it holds. Progress goes to standard output, one line a process, until the system
is ready or has failed; then that output ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from steersman.local import layout, tiers
from steersman.local.options import BadOption, Options
from steersman.local.parts import MissingPart, Parts
from steersman.local.plan import Plan, plan
from steersman.local.ports import NoFreePort, Ports
from steersman.local.processes import StartFailed
from steersman.local.system import System

READY: Final = "ready"
FAILED: Final = "failed"
"""First words of a line of progress: a process is ready; the whole attempt has failed."""


def folder(parts: Parts) -> Path:
    """Everything that belongs to the system of `make up`."""
    return parts.local / "up"


def pid_file(parts: Parts) -> Path:
    """Holds the supervisor's pid."""
    return parts.local / "supervisor.pid"


def addresses_file(parts: Parts) -> Path:
    """Holds the addresses of a system that is up."""
    return parts.local / "addresses.json"


class AlreadyUp(Exception):
    """Another supervisor holds the lock."""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def pid_of_running(parts: Parts) -> int | None:
    """The pid of the supervisor, None where none runs."""
    path = pid_file(parts)
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read().strip()
            return int(text) if text else None  # empty for the moment between its lock and its pid
    return None


def run(options: Options, parts: Parts) -> int:
    """Hold a system until SIGTERM. Returns the exit status."""
    try:
        with _locked(pid_file(parts)):
            asyncio.run(_hold(options, parts))
    except AlreadyUp:
        _tell(FAILED, "another make up is at work")
    except (StartFailed, MissingPart, BadOption, NoFreePort) as error:
        _tell(FAILED, str(error))
    else:
        return 0
    return 1


async def _hold(options: Options, parts: Parts) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    running = asyncio.create_task(_run(await _planned(options, parts), parts))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _planned(options: Options, parts: Parts) -> Plan:
    shutil.rmtree(folder(parts), ignore_errors=True)
    weights = tiers.installed_strong_model(options, parts)
    chosen = await tiers.choose(options, parts, strong_weights=weights)
    local = [tier for tier in chosen if tier not in options.elsewhere]
    where = layout.decide(Ports(), tiers=local, customary=True)
    threads = max(1, (os.cpu_count() or 1) // 2)
    return plan(parts, chosen, where, folder=folder(parts), threads=threads, tls=options.tls)


async def _run(planned: Plan, parts: Parts) -> None:
    async with System(planned, on_ready=lambda name: _tell(READY, name)) as system:
        system.addresses.write(addresses_file(parts))
        try:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # tells whoever started this that all is ready
            await asyncio.Event().wait()
        finally:
            addresses_file(parts).unlink(missing_ok=True)


def _tell(kind: str, what: str) -> None:
    """Tell whoever started this process; it may have gone."""
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{kind} {what}\n")
        sys.stdout.flush()
