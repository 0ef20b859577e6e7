"""Fetching a data set: download all of it, check it, convert it, and only then put it in place.

Everything is held in memory until it is known to be right, some hundred megabytes at most, so that whatever goes wrong
before the last moment leaves the data folder as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from steersman.classifier import whole_files
from steersman.classifier.datasets import conversions, lock
from steersman.classifier.datasets.download import check_url
from steersman.classifier.datasets.lock import Record
from steersman.classifier.datasets.registry import DataSet, RemoteFile
from steersman.classifier.errors import DataError, FetchError

_AT_ONCE: Final = 4
"""Files downloaded beside each other: enough for many small ones, and no burden for their home."""


class Source(Protocol):
    """Whatever gets a file from an address."""

    async def get(self, url: str, *, most_bytes: int, on_bytes: OnBytes) -> bytes:
        """The whole file.

        Raises:
            FetchError: It cannot be had.
        """


class OnBytes(Protocol):
    """Told how many bytes more are there."""

    def __call__(self, more: int, /) -> None:
        """Below zero when a download starts again."""


class Progress(Protocol):
    """Told how far a fetch is."""

    def __call__(self, *, more_bytes: int = 0, more_files: int = 0) -> None:
        """So many more than before."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was put in place."""

    outputs: tuple[str, ...]
    """By their paths in the data folder."""
    newly_known: int
    """Downloads whose hash nobody knew before; it is in the lock now."""


async def fetch(
    data_set: DataSet, *, into: Path, source: Source, mirror: str | None, progress: Progress
) -> Fetched:
    """Fetch a data set into a data folder, as a whole or not at all.

    Args:
        data_set: What to fetch.
        into: The data folder; it is made where there is none.
        source: Gets the files.
        mirror: Where they are instead of at their public home, below the data set's name.
        progress: Told how far it is.

    Raises:
        ClassifierError: It cannot be fetched, is not what it should be, or cannot be written.
    """
    if data_set.why_not is not None:
        raise FetchError(f"{data_set.name} cannot be fetched: {data_set.why_not} (docs/data.md)")
    base = data_set.base if mirror is None else f"{mirror.rstrip('/')}/{data_set.name}/"
    check_url(base)
    known = lock.read(into)
    recorded = known[data_set.name].downloads if data_set.name in known else {}
    downloads = await _download(data_set, base, source, progress)
    hashes = _hashes(downloads)
    for file in data_set.files:
        _check(file, base, got=hashes[file.path], recorded=recorded.get(file.path))
    contents = conversions.outputs(data_set, downloads)
    record = Record(source=base, downloads=hashes, outputs=_hashes(contents))
    _place({**contents, lock.NAME: lock.content({**known, data_set.name: record})}, into)
    new = sum(file.sha256 is None and file.path not in recorded for file in data_set.files)
    return Fetched(outputs=tuple(contents), newly_known=new)


async def _download(data_set: DataSet, base: str, source: Source, progress: Progress) -> Mapping[str, bytes]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(file: RemoteFile) -> bytes:
        async with room:
            content = await source.get(
                base + file.path, most_bytes=file.most_bytes, on_bytes=lambda more: progress(more_bytes=more)
            )
        progress(more_files=1)
        return content

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {file.path: group.create_task(one(file)) for file in data_set.files}
    except* FetchError as errors:
        # One sentence is enough: most often it is the same of every file.
        raise _first(errors) from None
    return {path: task.result() for path, task in tasks.items()}


def _hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def _first(errors: BaseExceptionGroup[FetchError]) -> FetchError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _check(file: RemoteFile, base: str, *, got: str, recorded: str | None) -> None:
    expected = file.sha256 or recorded
    if expected is not None and got != expected:
        since = "should be" if file.sha256 else f"was, by {lock.NAME}, when first fetched"
        raise FetchError(
            f"{base}{file.path} is not what it should be, so nothing was written: its SHA-256 is {got} and {since} "
            f"{expected}. Fetch again later or from another place (--from URL)"
        )


def _place(contents: Mapping[str, bytes], into: Path) -> None:
    """Write all files, or on failure none."""
    made: list[Path] = []
    try:
        for path in contents:
            _make((into / path).parent, made)
        whole_files.replace_all({into / path: content for path, content in contents.items()})
    except OSError as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise DataError(
            f"cannot write {error.filename or into}: {error.strerror}; nothing was written"
        ) from error


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and note which were made."""
    if folder.is_dir():
        return
    _make(folder.parent, made)
    folder.mkdir()
    made.append(folder)
