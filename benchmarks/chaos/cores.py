"""Which processes run on which cores: one to itself for what is measured, so that it is what there is too little of."""

from __future__ import annotations

import os
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
