from __future__ import annotations

import functools
import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.data_home import DataHome, data_home
from steersman.classifier.datasets import registry
from steersman.classifier.datasets.download import Downloader, Patience
from steersman.cli import data
from steersman.cli.__main__ import main

NAME = "routerdc_mmlu_gsm8k"
OUTPUT = Path("eval_only_extra") / "routerdc_7b.jsonl.gz"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(
        data, "Downloader", functools.partial(Downloader, Patience(attempts=2, first_wait_seconds=0))
    )


@pytest.fixture
def home() -> Iterator[DataHome]:
    questions = [{"question": "1 + 1?", "scores": {"org/m": 1, "org/n": 0}}]
    with data_home() as running:
        for file in registry.named(NAME).files:
            running.files[f"/{NAME}/{file.path}"] = json.dumps(questions).encode()
        yield running


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "data"


def fetch(home: DataHome, into: Path, *more: str, name: str = NAME) -> int:
    return main(["data", "fetch", name, "--into", str(into), "--from", home.url, *more])


def test_fetch_puts_a_data_set_in_place_and_tells_how_it_was_checked(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(home, into) == 0
    assert len(gzip.decompress((into / OUTPUT).read_bytes()).splitlines()) == 3
    captured = capsys.readouterr()
    assert str(into / OUTPUT) in captured.out
    assert "3 for the first time" in captured.out
    assert "3/3 files" in captured.err


def test_fetch_leaves_alone_what_is_there(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(home, into)
    home.asked.clear()
    assert fetch(home, into) == 0
    assert "is there already" in capsys.readouterr().out
    assert not home.asked


def test_fetch_replaces_what_was_changed_only_when_told_to(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(home, into)
    fetched = (into / OUTPUT).read_bytes()
    (into / OUTPUT).write_bytes(b"changed")
    assert fetch(home, into) == 1
    assert "was changed since it was fetched; --again" in capsys.readouterr().err
    assert fetch(home, into, "--again") == 0
    assert (into / OUTPUT).read_bytes() == fetched


def test_fetch_does_not_replace_a_part_that_is_somebodys_own(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = into / "mmlu_pro" / "mmlu_pro.jsonl.gz"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert fetch(home, into, name="mmlu_pro") == 1
    assert f"{mine} is there and was not fetched; --again" in capsys.readouterr().err
    assert not home.asked


def test_fetch_takes_a_whole_set_of_ones_own_as_it_is(home: DataHome, into: Path) -> None:
    (into / OUTPUT).parent.mkdir(parents=True)
    (into / OUTPUT).write_bytes(b"mine")
    assert fetch(home, into) == 0
    assert (into / OUTPUT).read_bytes() == b"mine"


def test_fetch_refuses_what_has_another_hash(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = registry.named("gsm8k_train").files
    home.files[f"/gsm8k_train/{file.path}"] = b'{"question": "1?", "answer": "1"}\n'
    assert fetch(home, into, name="gsm8k_train") == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not into.exists()


def test_a_home_that_cannot_be_reached_leaves_nothing(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.statuses[f"/{NAME}/mmlu_test.json"] = [503] * 9
    assert fetch(home, into) == 1
    error = capsys.readouterr().err
    assert "answers 503" in error
    assert "tried 2 times" in error
    assert "--from URL" in error
    assert not into.exists()


@pytest.mark.slow
def test_a_fetch_that_is_interrupted_leaves_nothing(home: DataHome, into: Path) -> None:
    home.stalled.add(f"/{NAME}/mmlu_test.json")
    command = [sys.executable, "-m", "steersman.cli", "data", "fetch", NAME]
    with subprocess.Popen(
        [*command, "--into", str(into), "--from", home.url], stderr=subprocess.PIPE, text=True
    ) as process:
        assert home.half_sent.wait(30)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted; nothing is left half-written" in error
    assert not into.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["fetch", "routelm_eval"], "did you mean 'routellm_eval'?", id="unknown name"),
        pytest.param(
            ["fetch", "zeroeval_crux"], "zeroeval_crux cannot be fetched: its home", id="not fetched"
        ),
        pytest.param(["fetch", NAME, "--from", "file:///x"], "no HTTP or HTTPS address", id="no web"),
        pytest.param(
            ["check", "nowhere"], "nowhere is no folder; `steersman data fetch", id="nothing to check"
        ),
    ],
)
def test_what_went_wrong_is_one_sentence_and_status_1(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_list_shows_each_data_set_and_whether_it_is_there(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(home, into)
    capsys.readouterr()
    assert main(["data", "list", str(into)]) == 0
    printed = capsys.readouterr().out
    for each in registry.data_sets():
        assert f"{each.name}: {each.about}. {each.home}" in printed
    row = next(line for line in printed.splitlines() if NAME in line)
    assert "yes" in row
    assert "Cannot be fetched: its home has the models' answers" in printed


def test_check_tells_problems_by_file_and_row(
    home: DataHome, into: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(home, into)
    assert main(["data", "check", str(into)]) == 1
    captured = capsys.readouterr()
    assert f"{OUTPUT}: has 3 rows and should have 7,532 at least" in captured.out
    assert "1 right" in captured.out
    assert f"{into} has 1 problem" in captured.err


def test_train_says_how_to_get_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "length", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert f"`steersman data fetch routellm_eval --into {tmp_path}` gets it" in capsys.readouterr().err


def test_evaluate_says_how_to_get_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--data", str(tmp_path)]) == 1
    assert f"`steersman data fetch routellm_eval --into {tmp_path}` gets it" in capsys.readouterr().err
