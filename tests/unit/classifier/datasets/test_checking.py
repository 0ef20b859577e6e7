from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from steersman.classifier.datasets import checking, lock
from steersman.classifier.datasets.lock import Record
from steersman.classifier.datasets.row_checks import MOST_TOLD
from steersman.classifier.errors import DataError
from unit.classifier import small_world

ROWS = 1319
"""As many as the set that is used here has."""


def write(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path = folder / "eval_only_extra" / "zeroeval_gsm.jsonl.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0))
    return path


def rows() -> list[dict[str, Any]]:
    return [
        {"id": f"row/{number}", "prompt": f"question {number}?", "scores": {"m": 1, "n": None}}
        for number in range(ROWS)
    ]


def problems(folder: Path) -> list[str]:
    return [str(problem) for each in checking.check(folder) for problem in each.problems]


def test_a_folder_of_ones_own_is_right_without_any_record(tmp_path: Path) -> None:
    write(tmp_path, rows())
    (checked,) = checking.check(tmp_path)
    assert (checked.data_set.name, checked.rows, checked.hashed, checked.problems) == (
        "zeroeval_gsm",
        ROWS,
        0,
        (),
    )


def test_a_file_that_was_changed_since_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, rows())
    name = str(path.relative_to(tmp_path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = Record(source="http://home.example/", downloads={}, outputs={name: digest})
    (tmp_path / lock.NAME).write_bytes(lock.content({"zeroeval_gsm": record}))
    assert [each.hashed for each in checking.check(tmp_path)] == [1]
    write(tmp_path, [*rows(), rows()[0]])
    assert problems(tmp_path) == [f"{name}: was changed: its SHA-256 is not {digest}"]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"scores": {}}, "no column 'prompt'"),
        ({"prompt": " ", "scores": {}}, "column 'prompt' should be a text that is not empty"),
        ({"prompt": "a"}, "no column 'scores'"),
        ({"prompt": "a", "scores": [1]}, "column 'scores' should map"),
        ({"prompt": "a", "scores": {"m": 1.5}}, "column 'scores' should map"),
        ({"prompt": "a", "scores": {"m": float("nan")}}, "column 'scores' should map"),
        ({"prompt": "a", "scores": {"m": True}}, "column 'scores' should map"),
    ],
)
def test_a_wrong_row_is_told_by_its_number(tmp_path: Path, row: Mapping[str, Any], what: str) -> None:
    write(tmp_path, [*rows(), row])
    (problem,) = problems(tmp_path)
    assert problem.startswith(f"eval_only_extra/zeroeval_gsm.jsonl.gz, row {ROWS + 1}: {what}")


def test_rows_that_are_missing_are_told(tmp_path: Path) -> None:
    write(tmp_path, rows()[:10])
    (problem,) = problems(tmp_path)
    assert problem.endswith("has 10 rows and should have 1,319 at least")


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, rows())
    path.write_bytes(path.read_bytes()[:-40])
    assert "damaged gzip" in problems(tmp_path)[0]


def test_many_problems_are_counted(tmp_path: Path) -> None:
    write(tmp_path, [{"prompt": "", "scores": {}}] * ROWS)
    told = problems(tmp_path)
    assert len(told) == MOST_TOLD + 1
    assert told[-1].endswith(f"and {ROWS - MOST_TOLD:,} problems more")


def test_a_training_source_lacks_no_model_that_training_reads(tmp_path: Path) -> None:
    small_world.write_rows(tmp_path / "arena_bench", rows())
    assert any("no row has a score of 'gpt-4-1106-preview'" in problem for problem in problems(tmp_path))


def test_benchmarks_that_are_not_the_published_ones_are_told(tmp_path: Path) -> None:
    small_world.write_data(tmp_path)
    told = problems(tmp_path)
    assert any(problem.startswith("routellm_eval/mt_bench/question.jsonl: was changed") for problem in told)
    assert "routellm_eval/mmlu/responses/mmlu_anatomy.csv: is missing" in told


@pytest.mark.parametrize(("folder", "message"), [("nowhere", "no folder"), (".", "holds no data set")])
def test_a_folder_with_nothing_in_it_is_an_error(tmp_path: Path, folder: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        checking.check(tmp_path / folder)
