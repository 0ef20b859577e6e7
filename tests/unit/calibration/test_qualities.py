from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from fakes.logged import a_line, a_logged
from steersman.calibration import decisions, qualities
from steersman.classifier.errors import DataError
from steersman.router.decision_log import FEEDBACK_SCHEMA


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.jsonl"


def write(path: Path, *rows: object) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def test_a_number_is_of_the_tier_that_answered_and_an_object_is_of_several(file: Path) -> None:
    one, other = a_logged(0.9), a_logged(0.1)
    rows = [
        {"id": one.id, "quality": 1},
        {"id": other.id, "quality": {"weak": 0.25, "strong": 0.75}},
        {"id": "of another log", "quality": "whatever"},
    ]
    assert qualities.read(write(file, *rows), [one, other]) == {
        one.id: {"strong": 1.0},
        other.id: {"weak": 0.25, "strong": 0.75},
    }


def test_the_decision_log_itself_is_such_a_file_where_the_last_word_of_a_caller_counts(file: Path) -> None:
    decision = a_logged(0.9)
    said = [{"schema": FEEDBACK_SCHEMA, "id": decision.id, "quality": quality} for quality in (0.0, 1.0)]
    other = {"level": "INFO", "logger": "steersman", "message": "policy file taken"}
    file.write_bytes(
        b"".join((a_line(0.9, id=decision.id), *(orjson.dumps(row) + b"\n" for row in (other, *said))))
    )
    assert qualities.read(file, decisions.read([file])) == {decision.id: {"strong": 1.0}}


@pytest.mark.parametrize(
    ("quality", "message"),
    [("good", "'quality' is no number"), ({"weak": None}, "'quality.weak' is no number")],
)
def test_a_quality_that_is_no_number_is_named(file: Path, quality: object, message: str) -> None:
    decision = a_logged()
    with pytest.raises(DataError, match=f"line 1: {message}"):
        qualities.read(write(file, {"id": decision.id, "quality": quality}), [decision])


def test_labels_of_other_decisions_alone_are_an_error(file: Path) -> None:
    with pytest.raises(DataError, match="no label is of a decision that is replayed"):
        qualities.read(write(file, {"id": "another", "quality": 1}), [a_logged()])
