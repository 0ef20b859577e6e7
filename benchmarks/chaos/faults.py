"""What goes wrong: each fault begins, lasts for a while, and is lifted, which for what was killed is a new start."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import psutil
from benchmarks.chaos.asking import DEADLINE_SECONDS
from benchmarks.chaos.proxy import Mode
from benchmarks.chaos.stand import ROUTERS, WEAK, Stand

Begin = Callable[[Stand], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Args:
        name: What.
        begin: Makes it so while the context lasts, and is left when it is well again.
    """

    name: str
    begin: Begin
    lasts: float = 0.0
    """Seconds that it goes on at least."""


@asynccontextmanager
async def _killed(stand: Stand, *, name: str) -> AsyncIterator[None]:
    await stand.processes[name].kill()
    yield
    await stand.processes[name].start()


@asynccontextmanager
async def _stopped(stand: Stand, *, name: str) -> AsyncIterator[None]:
    stand.processes[name].pause()
    try:
        yield
    finally:
        stand.processes[name].resume()


@asynccontextmanager
async def _turned(stand: Stand, *, name: str, mode: Mode) -> AsyncIterator[None]:
    stand.lines[name].turn(mode)
    try:
        yield
    finally:
        stand.lines[name].turn(Mode.PASS)


@asynccontextmanager
async def _disk_full(stand: Stand) -> AsyncIterator[None]:
    """No file of the routers may grow: neither the decision log nor their own."""
    routers = [psutil.Process(stand.processes[name].pid) for name in ROUTERS]
    for router in routers:
        router.rlimit(psutil.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for router in routers:
            router.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@asynccontextmanager
async def _all_of(stand: Stand, *, begins: tuple[Begin, ...]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for begin in begins:
            await stack.enter_async_context(begin(stand))
        yield


@asynccontextmanager
async def _clocks_set(stand: Stand, *, by: int) -> AsyncIterator[None]:
    stand.set_clocks(by)
    try:
        yield
    finally:
        stand.set_clocks(0)


def _kill(name: str) -> Fault:
    return Fault(f"{name}: SIGKILL", partial(_killed, name=name))


def _stop(name: str, *, lasts: float = 0.0) -> Fault:
    return Fault(f"{name}: SIGSTOP", partial(_stopped, name=name), lasts)


def _turn(name: str, mode: Mode) -> Fault:
    return Fault(f"{name}: {mode.name.lower()}", partial(_turned, name=name, mode=mode))


def _pair(*faults: Fault) -> Fault:
    return Fault(
        " + ".join(fault.name for fault in faults),
        partial(_all_of, begins=tuple(fault.begin for fault in faults)),
    )


_ENGINE: Final = "weak_engine_1"
_BEYOND: Final = DEADLINE_SECONDS + 5.0
"""Longer than any caller waits."""

FAULTS: Final = (
    _kill("triton"),
    _stop("triton"),
    _turn("triton", Mode.SILENT),
    _kill("valkey"),
    _stop("valkey"),
    _turn("valkey", Mode.SLOW),
    _kill(WEAK[0]),
    _stop(WEAK[0], lasts=_BEYOND),
    _turn(WEAK[0], Mode.RESET),
    _turn(WEAK[0], Mode.STALL),
    _turn(WEAK[0], Mode.GARBAGE),
    _kill(_ENGINE),
    _stop(_ENGINE, lasts=_BEYOND),
    _kill("strong_backend"),
    _kill(ROUTERS[0]),
    _stop(ROUTERS[0]),
    Fault("disk full: decision log and log", _disk_full),
    _stop("collector"),
    _pair(_kill("triton"), _kill("valkey")),
    _pair(_stop("valkey"), _kill(ROUTERS[0])),
    _pair(_stop("triton"), _kill(WEAK[0])),
    _pair(_kill(_ENGINE), _turn("valkey", Mode.SLOW)),
)
CLOCKS: Final = tuple(
    Fault(f"clocks of the routers: {by:+d} s", partial(_clocks_set, by=by)) for by in (3600, -3600)
)
"""For a stand whose clocks can be set."""
