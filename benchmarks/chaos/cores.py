"""Which processes run on which cores: one to itself for what is measured, so that it is what there is too little of."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PROC = Path("/proc")


@contextmanager
def apart(pid: int, others: Iterable[int]) -> Iterator[bool]:
    """Give a process the first core, and others the rest, as long as the context lasts.

    Yields:
        Whether it is so; there may be one core only.
    """
    cores = sorted(os.sched_getaffinity(0))
    first, rest = set(cores[:1]), set(cores[1:])
    if not rest:
        yield False
        return
    others = list(others)
    _keep(pid, first)
    for other in others:
        _keep(other, rest)
    try:
        yield True
    finally:
        for each in (pid, *others):
            _keep(each, set(cores))


def _keep(pid: int, cores: set[int]) -> None:
    """All threads of a process, and thereby those that they start."""
    for thread in (_PROC / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


@contextmanager
def shared(pid: int, seconds: float) -> Iterator[None]:
    """Another process works all the time where this one runs, so that it has half of what it had.

    Args:
        pid: Of this one, which has a core to itself.
        seconds: After which the other ends, if the context lasts longer.
    """
    work = (os.sched_getaffinity(pid), seconds)
    process = multiprocessing.get_context("spawn").Process(target=_work, args=work, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _work(cores: set[int], seconds: float) -> None:
    os.sched_setaffinity(0, cores)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
