"""Files of one JSON object a line, plain or gzipped. What is wrong with one is told with its file and line.

A last line without its end is left out when it cannot be read: somebody is still writing it.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steersman.classifier.errors import DataError


@dataclass(frozen=True, slots=True)
class Line:
    """One object, and where it stands."""

    path: Path
    number: int
    fields: Mapping[str, Any]

    def fault(self, what: str) -> DataError:
        """An error about this line."""
        return DataError(f"{self.path}, line {self.number}: {what}")

    def text(self, name: str) -> str:
        """A field that is a string.

        Raises:
            DataError: It is not.
        """
        value = self._field(name)
        if not isinstance(value, str):
            raise self.fault(f"'{name}' is no text")
        return value

    def number_of(self, name: str, *, least: float = -math.inf, most: float = math.inf) -> float:
        """A field that is a finite number in a range.

        Raises:
            DataError: It is not.
        """
        return self.checked(name, self._field(name), least=least, most=most)

    def checked(self, name: str, value: object, *, least: float = -math.inf, most: float = math.inf) -> float:
        """A value, as a finite number in a range.

        Raises:
            DataError: It is not; `name` says in the message what it is.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(f"'{name}' is no number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.fault(f"'{name}' is {number}, which is no finite number")
        if not least <= number <= most:
            raise self.fault(f"'{name}' is {number:g}, which is not from {least:g} to {most:g}")
        return number

    def _field(self, name: str) -> object:
        if name not in self.fields:
            raise self.fault(f"no field '{name}'")
        value: object = self.fields[name]
        return value


def read(paths: Iterable[Path]) -> Iterator[Line]:
    """The objects of all files, in their order.

    Raises:
        DataError: A file cannot be read, or a line is no JSON object.
    """
    for path in paths:
        yield from _read(path)


def _read(path: Path) -> Iterator[Line]:
    for number, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            if not text.endswith(b"\n"):
                return
            raise DataError(f"{path}, line {number}: damaged, not JSON in UTF-8") from error
        if not isinstance(fields, dict):
            raise DataError(f"{path}, line {number}: no JSON object")
        yield Line(path, number, fields)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
