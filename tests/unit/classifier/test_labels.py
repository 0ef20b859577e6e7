from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steersman.classifier import labels
from steersman.classifier.errors import DataError
from steersman.classifier.labels import Labels
from steersman.classifier.training_data import runs_of


def rows(count: int = labels.FEWEST) -> list[dict[str, Any]]:
    return [
        {"prompt": f"question {index}", "winner": ("strong", "weak")[index % 2]} for index in range(count)
    ]


def read_all(path: Path, **names: str) -> Labels:
    return labels.read(path, forbidden=frozenset(), **names)


def written(path: Path, content: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path


def test_a_winner_is_a_gain_of_one_either_way_or_of_nothing(tmp_path: Path) -> None:
    content = [*rows(), {"prompt": "a draw", "winner": "tie"}]
    read = read_all(written(tmp_path / "labels.jsonl", content))
    assert read.gains[:2].tolist() == [1.0, -1.0]
    assert read.wins[:2].tolist() == [1.0, 0.0]
    assert (read.texts[-1], read.gains[-1], read.wins[-1]) == ("a draw", 0.0, 0.0)


def test_scores_are_told_by_the_names_of_the_models(tmp_path: Path) -> None:
    scored = {"prompt": "scored", "scores": {"large": 0.9, "small": 0.4, "other": 1}}
    content = [*({"prompt": row["prompt"], "scores": {"large": 1, "small": 1}} for row in rows()), scored]
    read = read_all(written(tmp_path / "labels.jsonl", content), strong="large", weak="small")
    assert read.gains[-1] == pytest.approx(0.5)
    assert read.gains[0] == 0.0


def test_labels_of_one_prompt_are_averaged(tmp_path: Path) -> None:
    content = [*rows(), *({"prompt": "again", "winner": winner} for winner in ("strong", "strong", "weak"))]
    read = read_all(written(tmp_path / "labels.jsonl", content))
    assert read.texts.count("again") == 1
    assert read.gains[-1] == pytest.approx(1 / 3)
    assert read.wins[-1] == pytest.approx(2 / 3)
    assert read.rows == len(content)


def test_prompts_near_an_evaluation_prompt_are_left_out_and_counted(tmp_path: Path) -> None:
    near = [{"prompt": "a question of a benchmark", "winner": winner} for winner in ("strong", "weak")]
    file = written(tmp_path / "labels.jsonl", [*rows(), *near])
    read = labels.read(file, forbidden=runs_of(["A question of a benchmark"]))
    assert read.texts == tuple(row["prompt"] for row in rows())
    assert (read.rows, read.left_out) == (labels.FEWEST, 2)


def test_labels_marked_as_near_an_evaluation_prompt_are_left_out_where_there_is_a_guard(
    tmp_path: Path,
) -> None:
    file = written(tmp_path / "labels.jsonl", [*rows(), {"prompt": "x", "winner": "weak", "near_eval": True}])
    guarded = labels.read(file, forbidden=runs_of(["another question"]))
    assert (guarded.rows, guarded.left_out) == (labels.FEWEST, 1)
    assert read_all(file).rows == labels.FEWEST + 1


def test_too_few_labels_say_how_many_the_guard_took(tmp_path: Path) -> None:
    file = written(tmp_path / "labels.jsonl", rows())
    with pytest.raises(DataError, match="20 labels are left out"):
        labels.read(file, forbidden=runs_of(row["prompt"] for row in rows()))


def test_a_compressed_file_holds_the_same_labels(tmp_path: Path) -> None:
    plain = written(tmp_path / "labels.jsonl", rows())
    packed = tmp_path / "labels.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_all(packed).texts == read_all(plain).texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param([], "labels of 0 prompts", id="empty"),
        pytest.param(rows(10), "labels of 10 prompts; at least 20", id="ten rows"),
        pytest.param(
            [{**row, "winner": "weak"} for row in rows()], "all labels .* say the same", id="one class"
        ),
        pytest.param([*rows(), {"winner": "weak"}], "line 21: no column 'prompt'", id="no prompt"),
        pytest.param([*rows(), ["weak"]], "line 21: no JSON object", id="no object"),
        pytest.param([*rows(), {"prompt": "x"}], "line 21: neither 'winner' nor 'scores'", id="no label"),
        pytest.param([*rows(), {"prompt": "x", "winner": "me"}], "must be strong, weak or tie", id="who"),
        pytest.param(
            [*rows(), {"prompt": "x", "scores": {"a": 1, "weak": 0}}],
            "line 21: no score of 'strong'; there are a, weak",
            id="unknown model",
        ),
        pytest.param(
            [*rows(), {"prompt": "x", "scores": {"strong": float("nan"), "weak": 0}}],
            "line 21: 'scores.strong' is nan",
            id="not a number",
        ),
        pytest.param(
            [*rows(), {"prompt": "x", "scores": {"strong": 10**400, "weak": 0}}],
            "line 21: 'scores.strong' is inf",
            id="400 digits",
        ),
        pytest.param([*rows(), {"prompt": "x", "winner": ["strong"]}], "line 21: 'winner' must", id="a list"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_with_its_place(
    tmp_path: Path, content: list[Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_all(written(tmp_path / "labels.jsonl", content))


@pytest.mark.parametrize("name", ["missing.jsonl", "damaged.jsonl.gz"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "damaged.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=name):
        read_all(tmp_path / name)


def test_a_message_never_tells_a_prompt(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        read_all(written(tmp_path / "labels.jsonl", [*rows(), {"prompt": "a secret"}]))
    assert "secret" not in str(raised.value)


def test_of_more_prompts_than_wanted_as_many_are_drawn_in_their_order(tmp_path: Path) -> None:
    read = read_all(written(tmp_path / "labels.jsonl", rows(50)))
    drawn = read.draw(30, np.random.default_rng(0))
    places = [read.texts.index(text) for text in drawn.texts]
    assert len(drawn.texts) == 30
    assert places == sorted(places)
    assert drawn.gains.tolist() == read.gains[places].tolist()
    assert read.draw(80, np.random.default_rng(0)).texts == read.texts
