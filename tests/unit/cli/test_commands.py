from __future__ import annotations

import json
from pathlib import Path

import pytest

from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.cli.__main__ import main


@pytest.fixture(autouse=True)
def _environment(embeddings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(embeddings))
    monkeypatch.setenv("COLUMNS", "160")


def test_train_writes_an_artefact_and_tells_its_digest(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "artefact"
    assert main(["train", "static_head", "--data", str(data), "--out", str(out)]) == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    captured = capsys.readouterr()
    assert manifest["artefact_digest"] in captured.out
    assert "validating" in captured.err


def labelled(folder: Path, *more: str) -> Path:
    file = folder / "labels.jsonl"
    prompts = [*(f"case {number}" for number in range(40)), *more]
    rows = (
        {"prompt": prompt, "winner": ("strong", "weak")[place % 2]} for place, prompt in enumerate(prompts)
    )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_train_adapts_an_artefact_to_labels_and_tells_what_it_gained(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapted"
    arguments = ["--adapt", str(trained), "--labels", str(labelled(tmp_path)), "--out", str(out)]
    assert main(["train", "static_head", "--data", str(data), *arguments]) == 0
    captured = capsys.readouterr()
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["artefact_digest"] in captured.out
    assert "before" in captured.err
    assert "each left out in turn" in captured.err


@pytest.mark.parametrize(
    ("more", "left_out"),
    [pytest.param((), 1, id="by default"), pytest.param(("--no-guard",), 0, id="unless told otherwise")],
)
def test_labels_near_an_evaluation_prompt_are_left_out(
    more: tuple[str, ...], left_out: int, data: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adapted"
    labels = labelled(tmp_path, "mmlu question 3?")
    arguments = ["--adapt", str(trained), "--labels", str(labels), "--out", str(out), *more]
    assert main(["train", "static_head", "--data", str(data), *arguments]) == 0
    used = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["labels"]
    assert (used["rows"], used["left_out"]) == (41 - left_out, left_out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["train", "static_head", "--adapt", "x", "--out", "x"], "needs --labels", id="no labels"
        ),
        pytest.param(
            ["train", "static_head", "--data", "nowhere", "--adapt", "x", "--labels", "x", "--out", "x"],
            "--no-guard does without them",
            id="no evaluation files to keep away from",
        ),
        pytest.param(
            ["train", "static_head", "--data", ".", "--no-guard", "--out", "x"],
            "training always keeps away",
            id="training without the guard",
        ),
        pytest.param(
            ["train", "static_head", "--data", ".", "--labels", "x", "--out", "x"],
            "what --adapt fits",
            id="labels without an artefact",
        ),
        pytest.param(["train", "static_head", "--data", "nowhere", "--out", "x"], "no folder", id="no data"),
        pytest.param(
            ["train", "knn", "--data", ".", "--battles", "x", "--out", "x"],
            "knn does not learn from battles",
            id="battles for another method",
        ),
        pytest.param(
            ["train", "mf", "--adapt", "x", "--battles", "x", "--out", "x"],
            "--battles are trained on",
            id="battles to adapt to",
        ),
        pytest.param(
            ["train", "mf", "--data", ".", "--battles", "x", "--out", "x", "--strong", "a,b", "--weak", "b"],
            "'b' cannot be both",
            id="a model on both sides",
        ),
        pytest.param(
            ["train", "knn", "--data", ".", "--model", "x.gguf", "--out", "x"],
            "--model is for causal_llm, not for knn",
            id="a language model for another method",
        ),
        pytest.param(
            ["train", "causal_llm", "--data", ".", "--encoder", "x", "--out", "x"],
            "--encoder is for bert, not for causal_llm",
            id="an encoder for another method",
        ),
        pytest.param(["evaluate", "--data", "nowhere"], "no folder", id="nothing to evaluate on"),
    ],
)
def test_what_went_wrong_is_one_sentence_and_status_1(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["train", "no_such_method", "--data", ".", "--out", "x"], id="unknown method"),
        pytest.param(["evaluate"], id="no data"),
        pytest.param(["evaluate", "--data", ".", "--resamples", "0"], id="no resamples"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


def test_help_names_the_commands_and_shows_their_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert "train" in printed
    assert "evaluate" in printed
    assert "typical use" in printed
