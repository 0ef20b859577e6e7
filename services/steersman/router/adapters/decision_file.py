"""Where the decision log goes: a file that is turned over by size, or standard output.

Lines go to the operating system at once and unbuffered. What a full disk has cut off, or a crash, is taken back before
the next line is written, so that every line that stands in a file is a whole one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TAIL: Final = 65_536
"""Bytes that are searched for the end of the last whole line; a line is far shorter."""


@dataclass(slots=True)
class DecisionFile:
    """See `steersman.router.ports.LineSink`. One process a file: two would turn it over under each other.

    Args:
        path: The file that is written. Full ones are `PATH.1`, the newest, `PATH.2` and so on.
        max_bytes: Size at which the next batch goes into a new file.
        files: Files that are kept, the one that is written included; the oldest goes.
    """

    path: Path
    max_bytes: int
    files: int
    _descriptor: int | None = field(default=None, init=False)
    _size: int = field(default=0, init=False)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `steersman.router.ports.LineSink.write`."""
        data = b"".join(lines)
        descriptor = self._open() if self._descriptor is None else self._descriptor
        if self._size and self._size + len(data) > self.max_bytes:
            self.close()
            self._turn_over()
            descriptor = self._open()
        try:
            _write_all(descriptor, data)
        except OSError:
            with suppress(OSError):  # what cannot be taken back now is when the file is opened again
                os.ftruncate(descriptor, self._size)
            self.close()
            raise
        self._size += len(data)

    def close(self) -> None:
        """See `steersman.router.ports.LineSink.close`."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            self._size = _mend(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return descriptor

    def _turn_over(self) -> None:
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self.files))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)


class StandardOutput:
    """See `steersman.router.ports.LineSink`. The process's own log goes to standard error."""

    def write(self, lines: Sequence[bytes]) -> None:
        """See `steersman.router.ports.LineSink.write`."""
        _write_all(sys.stdout.fileno(), b"".join(lines))

    def close(self) -> None:
        """See `steersman.router.ports.LineSink.close`."""


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _mend(descriptor: int) -> int:
    """Cut off a line without an end, and tell the size that is left."""
    size = os.fstat(descriptor).st_size
    start = max(size - _TAIL, 0)
    tail = os.pread(descriptor, size - start, start)
    whole = start + tail.rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
    return whole
