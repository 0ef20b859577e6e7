from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steersman.classifier import battle_file, training_data
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.errors import DataError
from steersman.classifier.training_data import Examples


def battle(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "prompt": f"Question {number}",
        "model_a": "big",
        "model_b": "small",
        "winner": "model_a",
    } | changed


def twenty() -> list[dict[str, Any]]:
    return [battle(number) for number in range(20)]


def read(path: Path, *, forbidden: tuple[str, ...] = (), strong: tuple[str, ...] = ("big",)) -> Examples:
    file = BattleFile(path, strong=strong, weak=("small",))
    return battle_file.read(file, forbidden=training_data.runs_of(forbidden))


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "battles.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_battle_is_a_row_with_an_outcome_for_each_of_its_two_models(tmp_path: Path) -> None:
    others = battle(20, model_a="small", winner="model_b", model_b="big"), battle(21, model_b="third")
    examples = read(written(tmp_path, *twenty(), *others))
    assert examples.models == ("big", "small", "third")
    assert examples.outcomes[20].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(examples.outcomes[21, 1])
    assert examples.gains[:21].tolist() == [1.0] * 21
    assert np.isnan(examples.gains[21])


@pytest.mark.parametrize("winner", ["tie", "tie (bothbad)"])
def test_a_tie_is_half_a_win_to_each(tmp_path: Path, winner: str) -> None:
    examples = read(written(tmp_path, *twenty(), battle(20, winner=winner)))
    assert examples.outcomes[20].tolist() == [0.5, 0.5]
    assert examples.wins[20] == 0.5


def test_chatbot_arenas_own_columns_are_read(tmp_path: Path) -> None:
    flags = {"winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}
    rows = [
        {"prompt": json.dumps([f"Question {number}", "And?"]), "model_a": "big", "model_b": "small", **flags}
        for number in range(20)
    ]
    path = tmp_path / "battles.csv"
    lines = [",".join(rows[0])] + [
        ",".join('"' + str(value).replace('"', '""') + '"' for value in row.values()) for row in rows
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    examples = read(path)
    assert examples.texts[3] == "Question 3"
    assert set(examples.wins) == {0.0}


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "battles.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in twenty()).encode()))
    assert len(read(path).texts) == 20


def test_a_battle_near_an_evaluation_prompt_is_left_out(tmp_path: Path) -> None:
    examples = read(
        written(tmp_path, *twenty(), battle(0, prompt="Why are tides?")), forbidden=("why are tides?",)
    )
    assert len(examples.texts) == 20
    assert examples.left_out == 1


@pytest.mark.parametrize("name", ["battles.jsonl", "battles.csv"])
def test_a_battle_marked_as_near_an_evaluation_prompt_is_left_out(tmp_path: Path, name: str) -> None:
    rows = [*(row | {"near_eval": False} for row in twenty()), battle(20, near_eval=True)]
    path = tmp_path / name
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    examples = read(path)
    assert len(examples.texts) == 20
    assert examples.left_out == 1


@pytest.mark.parametrize("prompt", ["[" * 100_000, "[" + "1" * 5_000 + "]"], ids=["nested", "digits"])
def test_a_prompt_that_only_begins_like_a_list_of_turns_is_itself(tmp_path: Path, prompt: str) -> None:
    assert read(written(tmp_path, *twenty(), battle(20, prompt=prompt))).texts[20] == prompt


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([], "no battle of 'big'", id="empty"),
        pytest.param(twenty()[:19], "19 battles .* at least 20", id="too few"),
        pytest.param([battle(1, winner="left")], "line 1: 'winner' must be", id="unknown winner"),
        pytest.param([battle(1, winner=["model_a"])], "line 1: 'winner' must be", id="a list"),
        pytest.param([battle(1, winner=None)], "line 1: 'winner' must be", id="no winner"),
        pytest.param([{"prompt": "x", "model_a": "big"}], "no column 'model_b'", id="no second model"),
        pytest.param([battle(1, prompt=7)], "no column 'prompt' with a text", id="a number as prompt"),
        pytest.param([battle(1, model_b="big")], "with itself", id="one model twice"),
        pytest.param(
            [battle(1, model_b="x")], "no battle of 'small' .* models are: big, x", id="other names"
        ),
        pytest.param([battle(n, winner="tie") for n in range(20)], "are ties", id="all ties"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_in_a_sentence(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, *rows))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "nowhere.jsonl")
