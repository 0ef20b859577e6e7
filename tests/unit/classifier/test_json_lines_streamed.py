from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def values(*paths: Path) -> list[Any]:
    return [line.row["n"] for line in json_lines.stream(paths)]


def test_files_are_read_one_after_the_other_whether_gzipped_or_not(tmp_path: Path) -> None:
    plain, zipped = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(b'{"n": 1}\n\n{"n": "\\u2028"}\n')
    zipped.write_bytes(gzip.compress(b'{"n": 3}\n'))
    assert values(plain, zipped) == [1, "\u2028", 3]


def test_a_last_line_that_is_still_being_written_is_left_out(file: Path) -> None:
    file.write_bytes(b'{"n": 1}\n{"n": 2')
    assert values(file) == [1]


def test_a_last_line_without_its_end_that_is_whole_counts(file: Path) -> None:
    file.write_bytes(b'{"n": 1}\n{"n": 2}')
    assert values(file) == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b'{"n": 1}\n{"n": \n{"n": 3}\n', "line 2: damaged", id="cut"),
        pytest.param(b'{"n": "\xff"}\n', "line 1: damaged", id="not UTF-8"),
        pytest.param(b"[" * 100_000 + b"\n", "line 1: damaged", id="too deep"),
        pytest.param(b"\n[1]\n", "line 2: no JSON object", id="a list"),
    ],
)
def test_a_damaged_line_is_named(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(json_lines.stream([file]))


def test_what_is_no_whole_gzip_file_is_said_to_be_none(tmp_path: Path) -> None:
    for number, content in enumerate((b"plain", gzip.compress(b'{"n": 1}\n' * 9)[:-9])):
        file = tmp_path / f"{number}.jsonl.gz"
        file.write_bytes(content)
        with pytest.raises(DataError, match="no whole gzip file"):
            list(json_lines.stream([file]))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere"):
        list(json_lines.stream([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "'n' is nan, which is no finite number"),
        (float("-inf"), "'n' is -inf"),
        (10**400, "'n' is inf"),
        (1.5, "'n' is 1.5, which is not from 0 to 1"),
        ("0.5", "'n' is no number"),
        (True, "'n' is no number"),
        (None, "'n' is no number"),
    ],
)
def test_a_number_that_is_none_is_named_with_its_line(value: object, message: str) -> None:
    line = Line(Path("rows.jsonl"), 7, {"n": value})
    with pytest.raises(DataError, match=r"rows.jsonl, line 7: ") as caught:
        line.number_of("n", least=0.0, most=1.0)
    assert message in str(caught.value)


def test_a_field_that_is_missing_or_no_text_is_named() -> None:
    line = Line(Path("rows.jsonl"), 7, {"n": 1})
    with pytest.raises(DataError, match="line 7: no column 'id'"):
        line.text("id")
    with pytest.raises(DataError, match="line 7: 'n' is no text"):
        line.text("n")
