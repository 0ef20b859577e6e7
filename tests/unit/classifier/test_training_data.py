from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import benchmarks, training, training_data
from steersman.classifier.errors import DataError
from steersman.classifier.training_data import Source
from unit.classifier import small_world

SOURCE = Source(folder="chat", licence="MIT", reference_share=1.0, strong=("s1", "s2"), weak=("w1", "w2"))
LONG = "one two three four five six seven eight nine ten eleven twelve"


def row(prompt: str = "Why?", **changed: object) -> dict[str, object]:
    return {
        "prompt": prompt,
        "scores": {"s1": 1, "s2": 0.5, "w1": 0, "w2": 0.5},
        "near_eval": False,
    } | changed


def read(folder: Path, *rows: dict[str, object], forbidden: tuple[str, ...] = ()) -> training_data.Examples:
    small_world.write_rows(folder, rows)
    return training_data.read(folder, SOURCE, forbidden=training_data.runs_of(forbidden))


def test_only_sources_that_may_ship_are_trained_on() -> None:
    folders = {source.folder for source in training_data.sources()}
    assert folders == {"arena_bench", "mmlu_pro", "zeroeval_crux", "zeroeval_math-l5", "gsm8k_train"}
    assert all(source.licence for source in training_data.sources())


def test_reference_shares_are_parts_of_a_whole() -> None:
    assert sum(source.reference_share for source in training_data.sources()) == pytest.approx(1)


def test_a_row_near_an_evaluation_prompt_is_left_out(tmp_path: Path) -> None:
    examples = read(tmp_path, row("Where?", near_eval=True), row("Why?"))
    assert examples.texts == ("Why?",)
    assert examples.left_out == 1


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        pytest.param(LONG, False, id="the prompt itself"),
        pytest.param(LONG.upper().replace(" ", "\n"), False, id="in other letters and spaces"),
        pytest.param(f"Prefix {LONG.rpartition(' ')[0]} suffix", False, id="a run of ten words"),
        pytest.param(
            "one two three four five six seven eight nine different", True, id="a run of nine words"
        ),
    ],
)
def test_a_row_that_shares_ten_words_with_an_evaluation_prompt_is_left_out(
    tmp_path: Path, prompt: str, *, kept: bool
) -> None:
    examples = read(tmp_path, row(prompt), row("Something else."), forbidden=(LONG,))
    assert (prompt in examples.texts) is kept


def test_evaluation_prompts_copied_into_a_training_folder_are_left_out(data: Path) -> None:
    source = training_data.sources()[0]
    leaked = [item | {"prompt": "mmlu question 3?"} for item in small_world.rows(source)[:1]]
    small_world.write_rows(data / source.folder, small_world.rows(source) + leaked)
    examples = training_data.read(data / source.folder, source, forbidden=training.guard(data))
    assert "mmlu question 3?" not in examples.texts
    assert examples.left_out == 1


def test_a_row_that_only_with_its_choices_is_near_an_evaluation_prompt_is_left_out(tmp_path: Path) -> None:
    near = row("Which?", options=["in the morning", "late at night"])
    examples = read(tmp_path, near, row(), forbidden=(f"Prefix. {training_data.text_of(near)}",))
    assert (examples.texts, examples.left_out) == (("Why?",), 1)


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        pytest.param("Gluten", False, id="a question without its choices"),
        pytest.param("And then?", False, id="a later turn"),
        pytest.param("Is gluten in it?", True, id="a question that shares words"),
    ],
)
def test_short_parts_that_are_asked_alone_are_kept_away_from(data: Path, prompt: str, *, kept: bool) -> None:
    question = "gluten\nA. is in wheat\nB. is in rice\nAnswer:"
    small_world.write_answers(
        data / benchmarks.FOLDER / "mmlu" / "responses" / "mmlu_food.csv", name=question, count=1
    )
    assert training_data.is_apart(prompt, training.guard(data)) is kept


def test_prompts_that_the_paper_leaves_out_are_kept_away_from_too(data: Path) -> None:
    assert "mmlu question 0?" in set(benchmarks.prompts_with_contaminated(data))


def test_a_gain_is_the_mean_of_strong_less_the_mean_of_weak(tmp_path: Path) -> None:
    examples = read(tmp_path, row())
    assert examples.gains.tolist() == [0.5]
    assert examples.wins.tolist() == [0.75]


def test_a_model_without_a_score_does_not_count(tmp_path: Path) -> None:
    examples = read(tmp_path, row(scores={"s1": 1, "s2": None, "w2": 0.25}), row(scores={"s1": 1}))
    assert examples.gains.tolist() == [0.75]
    assert examples.left_out == 1


def test_difficulty_stands_for_the_gain_where_no_model_answered(tmp_path: Path) -> None:
    source = Source(folder="steps", licence="MIT", reference_share=1.0, difficulty="steps")
    small_world.write_rows(tmp_path, [row(steps=3)])
    examples = training_data.read(tmp_path, source, forbidden=frozenset())
    assert examples.gains.tolist() == [3]
    assert np.isnan(examples.wins).all()


def test_a_multiple_choice_question_is_asked_with_its_choices() -> None:
    assert training_data.text_of({"prompt": "2 + 2?", "options": ["3", "4"]}) == "2 + 2?\nA. 3\nB. 4\nAnswer:"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "no rows", id="empty file"),
        pytest.param(b"plain text", "line 1: not JSON", id="plain text"),
        pytest.param(gzip.compress(b"{}\n"), "line 1: no column 'prompt'", id="no prompt"),
        pytest.param(gzip.compress(b'{"prompt": "a"}\n{'), "line 2: not JSON", id="broken line"),
        pytest.param(gzip.compress(b'{"prompt": "a"}\n'), "no column 'scores'", id="no scores"),
        pytest.param(gzip.compress(b'{"prompt": "a", "scores": {}}\n'), "can be used", id="no known model"),
        pytest.param(b'{"prompt": "a", "scores": [1]}', "line 1: .*map models", id="scores without names"),
        pytest.param(
            b'{"prompt": "a", "scores": {"s1": NaN}}', "line 1: 'scores.s1' is nan", id="a score that is NaN"
        ),
        pytest.param(
            b'{"prompt": "a", "scores": {"w1": "yes"}}', "'scores.w1' is no number", id="a text as score"
        ),
        pytest.param(
            b'{"prompt": "a", "options": 5}', "line 1: 'options' is no list", id="a number as choices"
        ),
    ],
)
def test_malformed_data_is_told_in_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "chat.jsonl.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        training_data.read(tmp_path, SOURCE, forbidden=frozenset())


@pytest.mark.parametrize("steps", ["three", float("nan"), None])
def test_a_difficulty_that_is_no_finite_number_is_told(tmp_path: Path, steps: object) -> None:
    source = Source(folder="steps", licence="MIT", reference_share=1.0, difficulty="steps")
    small_world.write_rows(tmp_path, [row(steps=3), row(steps=steps)])
    with pytest.raises(DataError, match="line 2: 'steps' is"):
        training_data.read(tmp_path, source, forbidden=frozenset())


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds none"):
        training_data.read(tmp_path / "nowhere", SOURCE, forbidden=frozenset())
