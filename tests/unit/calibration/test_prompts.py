from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from steersman.calibration import prompts
from steersman.calibration.prompts import Models
from steersman.classifier.errors import DataError

MODELS = Models("dear", "cheap")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prompts.jsonl"


def write(path: Path, *rows: dict[str, Any]) -> list[Path]:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return [path]


def test_a_prompt_is_scored_as_the_router_would(file: Path) -> None:
    long = "a" * 10_000
    read = prompts.read(write(file, {"prompt": "  Cafe\u0301? "}, {"prompt": long}))
    assert read.texts[0] == "Café?"
    assert len(read.texts[1]) < len(long)


def test_messages_are_read_as_a_request_is(file: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Sort a list in C."},
        {"role": "assistant", "content": "qsort"},
        {"role": "user", "content": [{"type": "text", "text": "and in Python?"}]},
    ]
    read = prompts.read(write(file, {"messages": messages, "model": "auto"}))
    assert read.texts == ("Sort a list in C.\nqsort\nand in Python?",)


def test_choices_are_asked_with_their_question(file: Path) -> None:
    read = prompts.read(write(file, {"prompt": "Which?", "options": ["this", "that"]}))
    assert read.texts == ("Which?\nA. this\nB. that\nAnswer:",)


def test_gains_are_of_the_models_that_are_named(file: Path) -> None:
    rows = [
        {"prompt": "a", "scores": {"dear": 1, "cheap": 0.25, "other": 0}},
        {"prompt": "b", "scores": {"dear": 1}},
        {"prompt": "c", "scores": {"dear": 0, "cheap": 0.5}},
        {"prompt": "d", "scores": {"dear": 0, "cheap": None}},
    ]
    read = prompts.read(write(file, *rows), MODELS)
    assert read.texts == ("a", "c")
    assert read.gains.tolist() == [0.75, -0.5]
    assert read.left_out == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"text": "a"}, "neither 'messages' nor a 'prompt'", id="no column"),
        pytest.param({"prompt": 3}, "neither 'messages' nor a 'prompt'", id="no text"),
        pytest.param({"prompt": "a", "options": "b"}, "'options' is no list", id="options"),
        pytest.param({"messages": []}, "messages: must be an array", id="no messages"),
        pytest.param({"messages": [{"role": "u", "content": "a"}]}, r"messages\[0\].role", id="role"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(file: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        prompts.read(write(file, {"prompt": "fine"}, row))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        pytest.param(None, "no column 'scores'", id="none"),
        pytest.param({"dear": "1", "cheap": 1}, "'scores.dear' is no number", id="text"),
    ],
)
def test_a_line_without_qualities_is_named(file: Path, scores: object, message: str) -> None:
    with pytest.raises(DataError, match=f"line 1: {message}"):
        prompts.read(write(file, {"prompt": "a", "scores": scores}), MODELS)


def test_a_quality_that_is_not_a_number_is_named(file: Path) -> None:
    file.write_text('{"prompt": "a", "scores": {"dear": NaN, "cheap": 1}}\n')
    with pytest.raises(DataError, match=r"line 1: 'scores.dear' is nan"):
        prompts.read([file], MODELS)


def test_models_that_no_line_has_are_an_error_that_names_those_that_are_there(file: Path) -> None:
    rows = write(file, {"prompt": "a", "scores": {"one": 1, "dear": 0}})
    with pytest.raises(DataError, match="both dear and cheap; the most frequent models are one, dear"):
        prompts.read(rows, MODELS)


def test_an_empty_file_is_named(file: Path) -> None:
    for models in (None, MODELS):
        with pytest.raises(DataError, match=r"prompts.jsonl: no prompt in it"):
            prompts.read(write(file), models)


def test_lone_surrogates_and_megabytes_are_prompts_too(file: Path) -> None:
    file.write_text('{"prompt": "\\ud800"}\n' + '{"prompt": "' + "x " * 500_000 + '"}\n')
    assert len(prompts.read([file]).texts) == 2
