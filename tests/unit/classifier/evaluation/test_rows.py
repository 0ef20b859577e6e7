from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.rows import Pair, read

PAIR = Pair(strong="big", weak="small")


def row(prompt: str = "a question", *, big: Any = 1, small: Any = 0, **columns: Any) -> dict[str, Any]:
    return {"prompt": prompt, "scores": {"big": big, "small": small}, **columns}


def benchmark(path: Path, *rows: dict[str, Any], pair: Pair = PAIR, text: str = "prompt") -> Benchmark:
    path = path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return read(path, pair, name="rows", text=text)[0]


def test_rows_are_prompts_and_how_well_each_model_did(tmp_path: Path) -> None:
    found = benchmark(tmp_path, row("first", big=0.9, small=0.25), row("second", big=True, small=False))
    assert found.prompts == ("first", "second")
    assert found.strong.tolist() == [0.9, 1]
    assert found.weak.tolist() == [0.25, 0]
    assert (found.strong_model, found.weak_model) == ("big", "small")
    assert found.costs is None
    assert not found.notes


def test_a_compressed_file_reads_the_same_and_is_hashed_as_it_lies(tmp_path: Path) -> None:
    plain = benchmark(tmp_path, row())
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes(), mtime=0))
    found, digest = read(packed, PAIR, name="rows")
    assert found.prompts == plain.prompts
    assert digest != read(tmp_path / "rows.jsonl", PAIR, name="rows")[1]


def test_a_question_is_routed_with_its_choices(tmp_path: Path) -> None:
    found = benchmark(tmp_path, row("Which way?", options=["left", "right"]))
    assert found.prompts == ("Which way?\nA. left\nB. right\nAnswer:",)


def test_another_column_can_be_what_is_routed(tmp_path: Path) -> None:
    assert benchmark(tmp_path, row(question="only this"), text="question").prompts == ("only this",)


def test_costs_are_known_where_every_row_knows_both(tmp_path: Path) -> None:
    dear = row("first", cost={"big": 0.5, "small": 0.1})
    costs = benchmark(tmp_path, dear).costs
    assert costs is not None
    assert (costs.strong.tolist(), costs.weak.tolist()) == ([0.5], [0.1])
    assert benchmark(tmp_path, dear, row("second")).costs is None
    assert benchmark(tmp_path, dear, row("second", cost={"big": 1})).costs is None


def test_a_prompt_that_comes_again_counts_once(tmp_path: Path) -> None:
    found = benchmark(tmp_path, row("same", small=0), row("same", small=1), row("other"))
    assert found.prompts == ("same", "other")
    assert found.weak.tolist() == [0, 0]
    assert found.notes == ("1 of 3 rows repeat the prompt of another and do not count again",)


def test_a_row_without_a_score_of_both_does_not_count(tmp_path: Path) -> None:
    found = benchmark(tmp_path, row("first"), row("second", small=None), {"prompt": "third", "scores": {}})
    assert found.prompts == ("first",)
    assert found.notes == ("2 of 3 rows lack a score of one of the two models and do not count",)


def test_whatever_else_a_row_has_can_be_grouped_by(tmp_path: Path) -> None:
    found = benchmark(tmp_path, row("first", source="tides", steps=3), row("second", tags=["a"]))
    assert found.columns == {
        "source": ("tides", "(none)"),
        "steps": (3, "(none)"),
        "tags": ("(none)", "['a']"),
    }


def test_any_script_and_any_length_is_a_prompt(tmp_path: Path) -> None:
    prompts = ("潮水去哪里了?", "Куда уходит вода?", "\U0001f30a", "", "x" * 1_000_000, "\ud800")
    assert benchmark(tmp_path, *(row(prompt) for prompt in prompts)).prompts == prompts


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([], "is empty", id="empty file"),
        pytest.param([{"scores": {"big": 1, "small": 1}}], "line 1: no column 'prompt'", id="no prompt"),
        pytest.param([row(), {"prompt": "a"}], "line 2: no column 'scores'", id="no scores"),
        pytest.param(
            [row(), {"prompt": "a", "scores": [1]}], "line 2: .*map models", id="scores without names"
        ),
        pytest.param([{"prompt": 7, "scores": {"big": 1, "small": 1}}], "should be a text", id="no text"),
        pytest.param([row(), row(big=float("nan"))], "line 2: 'scores.big' is nan", id="NaN"),
        pytest.param([row(small="1")], "'scores.small' is no number", id="text for a number"),
        pytest.param([row(), row(small=7)], "line 2: .* is 7, which is not from 0 to 1", id="another scale"),
        pytest.param([row(big=None), row(small=None)], "has scores of both", id="nothing in common"),
        pytest.param([row(cost={"big": -1, "small": 1})], "'cost.big' is -1", id="negative cost"),
        pytest.param([row(), row(big=10**400)], "line 2: 'scores.big' is inf", id="400 digits"),
        pytest.param([row(), row(options=5)], "line 2: 'options' is no list", id="a number as choices"),
        pytest.param([row(), row(options="yes")], "line 2: 'options' is no list", id="a text as choices"),
    ],
)
def test_malformed_rows_are_told_in_a_sentence(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        benchmark(tmp_path, *rows)


def test_an_unknown_model_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'bigg'; did you mean 'big'\? It has: big, small"):
        benchmark(tmp_path, row(), pair=Pair(strong="bigg", weak="small"))
    with pytest.raises(DataError, match=r"'other'. It has: big, small"):
        benchmark(tmp_path, row(), pair=Pair(strong="big", weak="other"))


def test_a_model_is_not_compared_with_itself(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name two models"):
        benchmark(tmp_path, row(), pair=Pair(strong="big", weak="big"))
