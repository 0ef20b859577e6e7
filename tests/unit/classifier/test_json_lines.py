from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError

FILE = Path("rows.jsonl")


def rows(content: bytes) -> list[dict[str, object]]:
    return [line.row for line in json_lines.parse(content, FILE)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"a": 1}\n{"a": 2}\n', id="lines"),
        pytest.param(b'{"a": 1}\r\n{"a": 2}', id="of another system, without an end"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}\n\n{"a": 2}\n', id="with a byte order mark and a blank line"),
        pytest.param(gzip.compress(b'{"a": 1}\n{"a": 2}\n'), id="compressed"),
    ],
)
def test_every_line_is_a_row(content: bytes) -> None:
    assert rows(content) == [{"a": 1}, {"a": 2}]


def test_a_separator_within_a_text_ends_no_line() -> None:
    assert rows('{"a": "one\u2028two\x85three"}\n'.encode()) == [{"a": "one\u2028two\x85three"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b'{"a": 1}\n{', "rows.jsonl, line 2: not JSON", id="broken line"),
        pytest.param(b"[1]\n", "line 1: no JSON object", id="list"),
        pytest.param(b"[" * 100_000, "line 1: not JSON", id="too deep"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", "line 1: not JSON", id="a number too long"),
        pytest.param(b'{"a": "\xff"}', "not UTF-8", id="not text"),
        pytest.param(gzip.compress(b"x" * 5000)[:-20], "damaged gzip", id="cut short"),
        pytest.param(b"\x1f\x8bnonsense", "damaged gzip", id="not compressed"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(content)


def test_a_missing_column_is_told_with_those_that_there_are() -> None:
    (line,) = json_lines.parse(b'{"a": 1, "b": 2}', FILE)
    with pytest.raises(DataError, match="line 1: no column 'c'; there are a, b"):
        line.column("c")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere"):
        json_lines.read(tmp_path / "nowhere")
