"""A fake sink of lines: keeps them, and is full or slow on demand."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass
class FakeLineSink:
    """Implements `steersman.router.ports.LineSink`."""

    full: bool = False
    """Whether there is no room."""
    lines: list[bytes] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    """Lines in each attempt to write."""
    closed: bool = False
    free: threading.Event = field(default_factory=threading.Event)
    """Writing waits for it."""

    def __post_init__(self) -> None:
        self.free.set()

    def write(self, lines: Sequence[bytes]) -> None:
        """See `steersman.router.ports.LineSink.write`."""
        self.batches.append(len(lines))
        self.free.wait()
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.lines += lines

    def close(self) -> None:
        """See `steersman.router.ports.LineSink.close`."""
        self.closed = True

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """The lines, read."""
        return [orjson.loads(line) for line in self.lines]
