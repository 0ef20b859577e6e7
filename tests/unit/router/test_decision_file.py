from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from steersman.router.adapters.decision_file import DecisionFile, StandardOutput

LINE = b'{"n": 1}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "decisions.jsonl"


def a_file(path: Path, *, max_bytes: int = 10_000, files: int = 3) -> DecisionFile:
    return DecisionFile(path, max_bytes, files)


def disk_with_room_for(room: int) -> Callable[[int, memoryview], int]:
    """A `write` that takes so many bytes, and then no more."""
    left = room
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = real(descriptor, data[:left])
        left -= taken
        return taken

    return write


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    for _ in range(2):
        file = a_file(path)
        file.write([LINE, LINE])
        file.close()
    assert path.read_bytes() == 4 * LINE


def test_a_full_file_is_turned_over_and_the_oldest_goes(path: Path) -> None:
    file = a_file(path, max_bytes=2 * len(LINE))
    for n in range(9):
        file.write([b'{"n": %d}\n' % n])
    file.close()
    kept = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    assert kept == {
        "decisions.jsonl": b'{"n": 8}\n',
        "decisions.jsonl.1": b'{"n": 6}\n{"n": 7}\n',
        "decisions.jsonl.2": b'{"n": 4}\n{"n": 5}\n',
    }


def test_one_file_is_kept_where_one_is_wanted(path: Path) -> None:
    file = a_file(path, max_bytes=len(LINE), files=1)
    for _ in range(3):
        file.write([LINE])
    file.close()
    assert [each.name for each in path.parent.iterdir()] == ["decisions.jsonl"]
    assert path.read_bytes() == LINE


def test_a_batch_larger_than_a_file_is_written_whole(path: Path) -> None:
    file = a_file(path, max_bytes=1)
    file.write([LINE, LINE])
    file.close()
    assert path.read_bytes() == 2 * LINE


def test_what_a_crash_cut_off_goes_before_the_next_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(LINE + LINE[:4])
    file = a_file(path)
    file.write([LINE])
    file.close()
    assert path.read_bytes() == 2 * LINE


def test_a_full_disk_leaves_whole_lines_and_writing_goes_on_when_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_file(path)
    file.write([LINE])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", disk_with_room_for(len(LINE) + 3))
        with pytest.raises(OSError, match="No space"):
            file.write([LINE, LINE])
    assert path.read_bytes() == LINE
    file.write([LINE])
    file.close()
    assert path.read_bytes() == 2 * LINE


def test_a_place_that_cannot_be_written_is_an_error_each_time(path: Path) -> None:
    path.mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            a_file(path).write([LINE])


def test_standard_output_takes_lines(capfd: pytest.CaptureFixture[str]) -> None:
    sink = StandardOutput()
    sink.write([LINE, LINE])
    sink.close()
    assert capfd.readouterr().out == 2 * LINE.decode()
