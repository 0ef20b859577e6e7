from __future__ import annotations

from pathlib import Path

import pytest

from steersman.classifier.errors import DataError
from steersman.labelling.journal import Journal


def test_rows_are_added_to_those_that_are_there_and_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for number in (1, 2):
        with Journal(path) as journal:
            journal.append({"n": number})
    assert path.read_text() == '{"n":1}\n{"n":2}\n'
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("left", "after"),
    [
        pytest.param('{"n":1}\n{"n":', '{"n":1}\n{"n":3}\n', id="cut"),
        pytest.param('{"n', '{"n":3}\n', id="the only row cut"),
        pytest.param('{"n":1}', '{"n":1}\n{"n":3}\n', id="whole but for its end"),
    ],
)
def test_what_an_interruption_left_is_put_right(tmp_path: Path, left: str, after: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(left)
    with Journal(path) as journal:
        journal.append({"n": 3})
    assert path.read_text() == after


def test_one_process_at_a_time_writes(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "rows.jsonl"),
        pytest.raises(DataError, match="another process is writing to"),
        Journal(tmp_path / "rows.jsonl"),
    ):
        pass


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"cannot write .*rows\.jsonl: No such file"),
        Journal(tmp_path / "no" / "rows.jsonl"),
    ):
        pass
