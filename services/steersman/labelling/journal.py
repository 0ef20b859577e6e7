"""A file that only grows, a row at a time, so that what was paid for once is never paid for again.

Each row is one write, so that a process that is killed loses at most the row it was writing. That row is taken out
when the file is next opened. One process at a time writes to a file.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from steersman.classifier.errors import DataError

_PRIVATE: Final = 0o600
"""Queries and answers are somebody's text."""


class Journal:
    """A file of JSON lines to add to, while the context lasts.

    Args:
        path: Made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def __enter__(self) -> Self:
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._close()
            raise DataError(f"another process is writing to {self.path}") from error
        self._repair()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, row: dict[str, Any]) -> None:
        """Add a row.

        Raises:
            DataError: The disk is full, or the file cannot be written.
        """
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror}") from error
        if written < len(line):
            raise DataError(f"cannot write {self.path}: it took a part of a row")

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1

    def _repair(self) -> None:
        """Take out a last row that was not written to its end, or end one that lacks nothing but its end."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole == len(content):
            return
        try:
            json.loads(content[whole:])
        except ValueError:
            os.truncate(self._file, whole)
        else:
            os.write(self._file, b"\n")
