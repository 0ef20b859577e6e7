"""Files of one JSON object a line, plain or compressed by gzip, with errors that name the line."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steersman.classifier.errors import DataError

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Line:
    """One row, and where it stands."""

    path: Path
    number: int
    """From 1 on."""
    row: dict[str, Any]

    def column(self, name: str) -> Any:
        """A value that must be there.

        Raises:
            DataError: It is not.
        """
        if name not in self.row:
            raise self.wrong(f"no column '{name}'; there are {', '.join(self.row) or 'none'}")
        return self.row[name]

    def text(self, name: str) -> str:
        """A value that is a string.

        Raises:
            DataError: It is not.
        """
        value = self.column(name)
        if not isinstance(value, str):
            raise self.wrong(f"'{name}' is no text")
        return value

    def number_of(self, name: str, *, least: float = -math.inf, most: float = math.inf) -> float:
        """A value that is a finite number in a range.

        Raises:
            DataError: It is not.
        """
        return self.checked(name, self.column(name), least=least, most=most)

    def checked(self, name: str, value: object, *, least: float = -math.inf, most: float = math.inf) -> float:
        """Any value, as a finite number in a range.

        Raises:
            DataError: It is not; `name` says in the message what it is.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(f"'{name}' is no number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.wrong(f"'{name}' is {number}, which is no finite number")
        if not least <= number <= most:
            raise self.wrong(f"'{name}' is {number:g}, which is not from {least:g} to {most:g}")
        return number

    def score(self, name: str, value: object, *, least: float = -math.inf, most: float = math.inf) -> float:
        """As `checked`, of a value that may also be true or false, which is 1 or 0.

        Raises:
            DataError: It is neither.
        """
        number = int(value) if isinstance(value, bool) else value
        return self.checked(name, number, least=least, most=most)

    def wrong(self, what: str) -> DataError:
        """The error that says what is wrong with this line."""
        return DataError(f"{self.path}, line {self.number}: {what}")


def parse(content: bytes, path: Path) -> Iterator[Line]:
    """Every line that is not blank.

    Raises:
        DataError: The content is no UTF-8, or a line is no JSON object.
    """
    # Not splitlines, which also splits at separators that JSON strings may hold.
    for number, text in enumerate(_text(content, path).split("\n"), start=1):
        if text.strip():
            yield Line(path=path, number=number, row=_object(text, path, number))


def read(path: Path) -> bytes:
    """A file as it is on disk.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def stream(paths: Iterable[Path]) -> Iterator[Line]:
    """The lines of files that may be large, one file after the other and one line at a time.

    A last line without its end is left out when it cannot be read: somebody is still writing it.

    Raises:
        DataError: A file cannot be read, or a line is no JSON object.
    """
    for path in paths:
        yield from _stream(path)


def _stream(path: Path) -> Iterator[Line]:
    for number, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            if not text.endswith(b"\n"):
                return
            raise DataError(f"{path}, line {number}: damaged, not JSON in UTF-8") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: no JSON object")
        yield Line(path, number, row)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _text(content: bytes, path: Path) -> str:
    try:
        plain = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file; fetch or write it anew") from error
    try:
        return plain.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; it should hold one JSON object a line") from error


def _object(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:  # Python reads no number of more than 4,300 digits
        raise DataError(f"{path}, line {number}: not JSON") from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: no JSON object")
    return row
