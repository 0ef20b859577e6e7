from __future__ import annotations

import asyncio
import dataclasses
import errno
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.data_home import DataHome
from steersman.classifier.datasets import fetching, lock
from steersman.classifier.datasets.download import Downloader, Patience
from steersman.classifier.datasets.fetching import Fetched
from steersman.classifier.datasets.registry import DataSet, Output, RemoteFile
from steersman.classifier.errors import DataError, FetchError

CONTENTS = {"one.csv": b"prompt\nwhat?\n", "deep/two.csv": b"prompt\nwhy?\n"}


class Counted:
    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0

    def __call__(self, *, more_bytes: int = 0, more_files: int = 0) -> None:
        self.bytes += more_bytes
        self.files += more_files


def a_set(name: str = "some", *, hashed: bool = True, form: str = "verbatim") -> DataSet:
    return DataSet(
        name=name,
        about="some data",
        use="evaluation",
        ships="no",
        licence="MIT",
        home="http://home.example",
        base="http://home.example/base/",
        form=form,
        size="-",
        files=tuple(
            RemoteFile(
                path=path,
                sha256=hashlib.sha256(content).hexdigest() if hashed else None,
                bytes=None,
                most_bytes=1000,
            )
            for path, content in CONTENTS.items()
        ),
        outputs=tuple(Output(f"{name}/{path}") for path in CONTENTS),
        why_not=None,
    )


@pytest.fixture
async def source() -> AsyncIterator[Downloader]:
    async with Downloader(Patience(attempts=1)) as downloader:
        yield downloader


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet"


def serve(home: DataHome, name: str = "some") -> None:
    home.files |= {f"/{name}/{path}": content for path, content in CONTENTS.items()}


async def fetch(
    data_set: DataSet, source: Downloader, home: DataHome, into: Path, counted: Counted | None = None
) -> Fetched:
    return await fetching.fetch(
        data_set, into=into, source=source, mirror=home.url, progress=counted or Counted()
    )


def is_untouched(folder: Path) -> bool:
    """Whether neither the folder nor the one above it was made."""
    return not folder.parent.exists()


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def test_a_data_set_is_put_in_place_and_remembered(
    source: Downloader, home: DataHome, into: Path
) -> None:
    serve(home)
    counted = Counted()
    fetched = await fetch(a_set(), source, home, into, counted)
    assert fetched == Fetched(outputs=("some/one.csv", "some/deep/two.csv"), newly_known=0)
    for path, content in CONTENTS.items():
        assert (into / "some" / path).read_bytes() == content
    record = lock.read(into)["some"]
    assert record.source == f"{home.url}/some/"
    assert record.outputs == {
        f"some/{path}": hashlib.sha256(content).hexdigest() for path, content in CONTENTS.items()
    }
    assert everything_in(into) == {"data.lock", "some", "some/one.csv", "some/deep", "some/deep/two.csv"}
    assert (counted.files, counted.bytes) == (2, sum(map(len, CONTENTS.values())))


async def test_what_has_another_hash_is_not_written(source: Downloader, home: DataHome, into: Path) -> None:
    serve(home)
    home.files["/some/deep/two.csv"] = b"prompt\nwho?\n"
    with pytest.raises(FetchError, match=r"two\.csv is not what it should be, so nothing was written"):
        await fetch(a_set(), source, home, into)
    assert is_untouched(into)


async def test_a_file_that_is_missing_is_the_end_of_the_whole_set(
    source: Downloader, home: DataHome, into: Path
) -> None:
    serve(home)
    del home.files["/some/one.csv"]
    with pytest.raises(FetchError, match=r"one\.csv answers 404"):
        await fetch(a_set(), source, home, into)
    assert is_untouched(into)


async def test_a_hash_that_nobody_knew_is_known_from_then_on(
    source: Downloader, home: DataHome, into: Path
) -> None:
    serve(home)
    assert (await fetch(a_set(hashed=False), source, home, into)).newly_known == 2
    assert (await fetch(a_set(hashed=False), source, home, into)).newly_known == 0
    home.files["/some/one.csv"] = b"prompt\nwhat else?\n"
    with pytest.raises(FetchError, match=r"data\.lock"):
        await fetch(a_set(hashed=False), source, home, into)
    assert (into / "some" / "one.csv").read_bytes() == CONTENTS["one.csv"]


async def test_records_of_other_data_sets_are_kept(source: Downloader, home: DataHome, into: Path) -> None:
    for name in ("some", "other"):
        serve(home, name)
        await fetch(a_set(name), source, home, into)
    assert set(lock.read(into)) == {"some", "other"}


async def test_a_fetch_that_is_cancelled_leaves_nothing(
    source: Downloader, home: DataHome, into: Path
) -> None:
    serve(home)
    home.stalled.add("/some/one.csv")
    task = asyncio.create_task(fetch(a_set(), source, home, into))
    await asyncio.to_thread(home.half_sent.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_untouched(into)


async def test_a_full_disk_leaves_nothing(
    source: Downloader, home: DataHome, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(home)
    write = Path.write_bytes

    def fill_up(path: Path, content: bytes) -> int:
        if "two" in path.name:
            write(path, content[:3])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(DataError, match=r"No space left on device; nothing was written"):
        await fetch(a_set(), source, home, into)
    assert is_untouched(into)


async def test_a_folder_that_cannot_be_made_is_told(
    source: Downloader, home: DataHome, tmp_path: Path
) -> None:
    serve(home)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot write"):
        await fetch(a_set(), source, home, tmp_path / "file" / "data")


async def test_a_form_that_is_not_known_writes_nothing(
    source: Downloader, home: DataHome, into: Path
) -> None:
    serve(home)
    with pytest.raises(DataError, match="not of the form that is known"):
        await fetch(a_set(form="routerdc"), source, home, into)
    assert is_untouched(into)


async def test_a_damaged_lock_is_told_before_anything_is_fetched(
    source: Downloader, home: DataHome, tmp_path: Path
) -> None:
    (tmp_path / lock.NAME).write_text(json.dumps({"format": 1}))
    with pytest.raises(DataError, match=r"data\.lock is damaged"):
        await fetch(a_set(), source, home, tmp_path)
    assert not home.asked


async def test_the_same_rows_are_the_same_bytes(source: Downloader, home: DataHome, into: Path) -> None:
    questions = [{"question": "1 + 1?", "scores": {"org/model": 1}}]
    home.files |= {f"/some/{path}": json.dumps(questions).encode() for path in CONTENTS}
    data_set = dataclasses.replace(
        a_set(hashed=False, form="routerdc"), outputs=(Output("some/rows.jsonl.gz"),)
    )
    contents = []
    for _ in range(2):
        fetched = await fetch(data_set, source, home, into)
        contents.append((into / fetched.outputs[0]).read_bytes())
    assert contents[0] == contents[1]
    assert len(gzip.decompress(contents[0]).splitlines()) == 2
