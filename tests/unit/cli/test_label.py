from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fakes.engine import FakeEngine, fake_engine
from steersman.cli.__main__ import main
from unit.labelling.material import read, write

KEY = "sk-secret"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("STRONG_API_KEY", KEY)


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine() as engine:
        yield engine


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    return write(
        tmp_path / "traffic.jsonl",
        *({"prompt": f"Question {n:02}?", "answer": "Hello there!", "topic": f"t{n % 2}"} for n in range(20)),
    )


@pytest.fixture
def folder(traffic: Path, tmp_path: Path) -> Path:
    assert main(["label", "sample", str(tmp_path / "labels"), "--prompts", str(traffic), "--count", "4"]) == 0
    return tmp_path / "labels"


async def label(step: str, folder: Path, *arguments: object) -> int:
    """The command has a loop of its own, and the fake engine is in the test's."""
    return await asyncio.to_thread(main, ["label", step, str(folder), *map(str, arguments)])


def model(role: str, engine: FakeEngine, *, price: str | None = "1000:2000") -> list[str]:
    options = [f"--{role}-url", engine.url, f"--{role}-model", f"the-{role}"]
    return options if price is None else [*options, f"--{role}-price", price]


def both(engine: FakeEngine, **options: Any) -> list[str]:
    return [*model("strong", engine, **options), *model("weak", engine, **options)]


def test_a_sample_grows_by_queries_that_are_not_in_it(
    folder: Path, traffic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for count in (4, 50):
        arguments = ["--prompts", str(traffic), "--count", str(count), "--by", "topic"]
        assert main(["label", "sample", str(folder), *arguments]) == 0
    captured = capsys.readouterr().out
    assert "by topic: t" in captured
    assert "there are no more than these 12" in captured
    assert "fewer than 200 labels may do more harm than good" in captured
    assert sorted(row["prompt"] for row in read(folder / "queries.jsonl")) == sorted(
        f"Question {n:02}?" for n in range(20)
    )
    assert main(["label", "sample", str(folder), "--prompts", str(traffic), "--count", "1"]) == 1


async def test_both_tiers_answer_once_and_the_cost_is_shown(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine)) == 0
    # 7 tokens of the prompt and 3 of the answer, four times for each of two tiers
    assert "8 answers of 8 asked for; $0.1040 spent so far" in capsys.readouterr().out
    assert await label("answer", folder, *both(engine)) == 0
    assert "0 answers of 0 asked for; $0.1040 spent so far" in capsys.readouterr().out
    assert len(engine.seen) == 8
    assert {row["tier"] for row in read(folder / "answers.jsonl")} == {"strong", "weak"}


def texts(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in folder.iterdir())


async def test_a_key_comes_from_the_environment_and_is_in_no_output_and_no_file(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine)) == 0
    sent = {seen.json["model"]: seen.headers.get("authorization") for seen in engine.seen}
    assert sent == {"the-strong": f"Bearer {KEY}", "the-weak": None}
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    assert KEY not in texts(folder)


async def test_a_dry_run_tells_the_cost_and_asks_nobody(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine), "--dry-run") == 0
    at_first = capsys.readouterr().out
    assert await label("answer", folder, *both(engine), "--limit", "1") == 0
    assert len(engine.seen) == 2
    capsys.readouterr()
    assert await label("answer", folder, *both(engine), "--dry-run") == 0
    later = capsys.readouterr().out
    assert len(engine.seen) == 2
    # 4 times 7 estimated tokens of the prompt and 1,024 of the answer; then 3 times 7 and 3
    assert "the-strong │     4 │     - │ $8.2200" in at_first
    assert "the-strong │     3 │ $0.0390 │ $6.1650" in later
    assert "$0.0260 spent so far" in later


async def test_who_gives_no_price_is_told_that_costs_are_unknown(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine, price=None), "--dry-run") == 0
    assert "without --strong-price and --weak-price calls count as free" in capsys.readouterr().err


async def test_a_limit_on_cost_holds_over_all_runs(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    cheap = ("--strong-max-tokens", "3", "--weak-max-tokens", "3", "--max-cost", "0.04")
    for _ in range(2):
        assert await label("answer", folder, *both(engine), *cheap) == 1
        assert "stopped: the next call could cost more than --max-cost leaves" in capsys.readouterr().err
    assert len(read(folder / "answers.jsonl")) == 3


async def test_what_failed_is_told_and_asked_for_again(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.status = 400
    assert await label("answer", folder, *both(engine)) == 1
    error = capsys.readouterr().err
    assert "the-strong: the engine refused the request (400) (4)" in error
    assert "The same command asks again for what is missing" in error
    engine.status = 200
    assert await label("answer", folder, *both(engine)) == 0
    assert len(read(folder / "answers.jsonl")) == 8


async def test_a_judge_that_always_likes_the_first_makes_ties_and_is_told_on(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.tokens = ("one",)
    assert await label("answer", folder, *both(engine), "--limit", "2") == 0
    engine.tokens = ("another",)
    answered = read(folder / "answers.jsonl")
    for row in answered:
        row["text"] = row["tier"]
    write(folder / "answers.jsonl", *answered)
    engine.tokens = ("It is better.\n", "[[1]]")
    judge = model("judge", engine)
    assert await label("judge", folder, *judge) == 0
    printed = capsys.readouterr().out
    assert "4 verdicts of 4 asked for; $0.0440 spent so far" in printed
    assert "the same said twice of 0%; the first place favoured in 100%, the second in 0%" in printed
    assert "2 labels (0 strong, 0 weak, 2 tie)" in printed
    asked = len(engine.seen)
    assert await label("judge", folder, *judge) == 0
    assert len(engine.seen) == asked
    assert [row["winner"] for row in read(folder / "labels.jsonl")] == ["tie", "tie"]


async def test_verdicts_that_cannot_be_read_are_counted_and_make_no_label(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine), "--limit", "1") == 0
    answered = read(folder / "answers.jsonl")
    write(folder / "answers.jsonl", *(row | {"text": row["tier"]} for row in answered))
    assert await label("judge", folder, *model("judge", engine)) == 0
    printed = capsys.readouterr().out
    assert "2 verdicts cannot be read, their last line being none of [[1]], [[2]] and [[TIE]]" in printed
    assert f"of the queries {answered[0]['query']} in {folder / 'verdicts.jsonl'}" in printed
    assert read(folder / "labels.jsonl") == []


async def test_same_answers_are_a_tie_and_no_judge_is_asked(folder: Path, engine: FakeEngine) -> None:
    assert await label("answer", folder, *both(engine)) == 0
    asked = len(engine.seen)
    assert await label("judge", folder, *model("judge", engine)) == 0
    assert len(engine.seen) == asked
    assert [row["labelled_by"] for row in read(folder / "labels.jsonl")] == ["same answers"] * 4


async def test_a_reference_makes_golden_labels_and_spares_the_judge(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine)) == 0
    asked = len(engine.seen)
    answered = read(folder / "answers.jsonl")
    wrong = [row | {"text": "no idea"} if row["tier"] == "weak" else row for row in answered]
    write(folder / "answers.jsonl", *wrong)
    assert await label("check", folder, "--by", "exact", "--reference", "answer") == 0
    printed = capsys.readouterr().out
    assert "4 queries checked: strong 100.0% right, weak 0.0% right" in printed
    assert "4 labels (4 strong, 0 weak, 0 tie)" in printed
    assert await label("judge", folder, *model("judge", engine)) == 0
    assert len(engine.seen) == asked
    assert [row["scores"] for row in read(folder / "labels.jsonl")] == [{"strong": 1, "weak": 0}] * 4
    assert {row["winner"] for row in read(folder / "battles.jsonl")} == {"model_a"}


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        pytest.param(
            "sample", ["--prompts", "nowhere", "--count", "1"], "cannot read nowhere", id="no prompts"
        ),
        pytest.param(
            "sample",
            ["--prompts", "TRAFFIC", "--count", "1", "--by", "x"],
            "no query has a column",
            id="no group",
        ),
        pytest.param("answer", ["BOTH", "--max-cost", "1"], "--max-cost needs --strong-price", id="no price"),
        pytest.param(
            "answer", ["BOTH", "--weak-key-env", "NO_KEY"], "names NO_KEY, which is not set", id="no key"
        ),
        pytest.param(
            "check", ["--by", "exact", "--reference", "x"], "both answers and a column", id="no answers"
        ),
        pytest.param("judge", ["JUDGE"], "no query that both tiers have answered", id="nothing to judge"),
    ],
)
async def test_what_went_wrong_is_one_sentence_and_status_1(
    *,
    step: str,
    arguments: list[str],
    message: str,
    folder: Path,
    traffic: Path,
    engine: FakeEngine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = {
        "TRAFFIC": [str(traffic)],
        "BOTH": both(engine, price=None),
        "JUDGE": model("judge", engine),
    }
    given = [word for each in arguments for word in known.get(each, [each])]
    assert await label(step, folder, *given) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert engine.seen == []


async def test_a_folder_without_queries_says_how_to_get_some(
    tmp_path: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", tmp_path, *both(engine)) == 1
    assert "`steersman label sample` chooses some" in capsys.readouterr().err


async def test_answers_of_two_models_are_not_mixed(
    folder: Path, engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await label("answer", folder, *both(engine)) == 0
    assert await label("answer", folder, *both(engine), "--strong-model", "newer") == 1
    assert "has answers of the-strong for strong; use another folder for newer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(["--strong-url", "ftp://x"], id="no HTTP"),
        pytest.param(["--strong-url", "http://user:secret@x"], id="a password in the URL"),
        pytest.param(["--strong-price", "1"], id="one price"),
        pytest.param(["--strong-price", "-1:2"], id="a price below nothing"),
        pytest.param(["--strong-set", "x"], id="no JSON"),
        pytest.param(["--strong-set", '{"stream": true}'], id="a field that is ours"),
        pytest.param(["--at-once", "0"], id="nobody at work"),
        pytest.param(["--api-key", "sk-x"], id="a key as an argument"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_status_2(option: list[str], folder: Path) -> None:
    engine = FakeEngine(url="http://localhost:1")
    with pytest.raises(SystemExit) as left:
        main(["label", "answer", str(folder), *both(engine), *option])
    assert left.value.code == 2
