"""A sampling profile of a running process, by py-spy, which reads its stacks from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from steersman.local.parts import MissingPart, Parts

_PY_SPY: Final = "bench/bin/py-spy"
_RATE: Final = 100
"""Samples a second: the process stands still for each."""
_LATEST_SECONDS: Final = 20.0
"""After the end of a profile, for writing it."""


class ProfileFailed(Exception):
    """There is no profile; says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A call in progress.

    Attributes:
        function: Its qualified name.
        file: Where it is, from the package's folder on.
        line: At which line it is; 0 where that is not known.
    """

    function: str
    file: str
    line: int

    @classmethod
    def parse(cls, told: str) -> Self:
        """From `FUNCTION (FILE:LINE)`, as py-spy writes it."""
        function, _, place = told.removesuffix(")").rpartition(" (")
        file, _, line = place.rpartition(":")
        return cls(function, file, int(line)) if line.isdecimal() else cls(function, place, 0)


@dataclass(frozen=True, slots=True)
class Stack:
    """Calls in progress, the outermost first, and how often they were met."""

    frames: tuple[Frame, ...]
    count: int


def program(parts: Parts) -> Path:
    """Where py-spy is.

    Raises:
        MissingPart: It is not installed.
    """
    path = parts.local / _PY_SPY
    if not path.exists():
        raise MissingPart(f"{path.relative_to(parts.root)} is missing: run make bench ARGS='--only engine'.")
    return path


async def profile(pid: int, *, seconds: int, folder: Path) -> list[Stack]:
    """What a process did in so many seconds; threads that waited are left out.

    Raises:
        MissingPart: There is no py-spy.
        ProfileFailed: It may not look into the process, or is too slow.
    """
    out = folder / f"profile-{pid}"
    options = ("--pid", pid, "--duration", seconds, "--rate", _RATE, "--format", "raw", "--output", out)
    child = await asyncio.create_subprocess_exec(
        program(Parts()),
        "record",
        *map(str, options),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + _LATEST_SECONDS):
            _, errors = await child.communicate()
    except TimeoutError:
        raise ProfileFailed("py-spy does not end") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise ProfileFailed(f"py-spy: {errors.decode(errors='replace').strip()}")
    return parse(out.read_text())


def parse(raw: str) -> list[Stack]:
    """Stacks from py-spy's raw format: frames with semicolons, and a number."""
    return [_stack(line) for line in raw.splitlines() if line]


def _stack(line: str) -> Stack:
    frames, _, count = line.rpartition(" ")
    return Stack(tuple(map(Frame.parse, frames.split(";"))), int(count))


def total(stacks: Sequence[Stack]) -> int:
    """Samples in all."""
    return sum(stack.count for stack in stacks)
