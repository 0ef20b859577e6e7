from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from fakes.logged import a_line, write_log
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.cli.__main__ import main

POLICIES = """\
tiers:
  weak: {model: w, upstream: {kind: backend, target: "weak:9000"}}
  mid: {model: m, upstream: {kind: backend, target: "mid:9000"}}
  strong: {model: s, upstream: {kind: openai, url: "https://example.com", api_key_env: NO_SUCH_KEY}}
policies:
  auto: {tiers: [weak, strong], threshold: 0.7}   # the default
  three: {tiers: [weak, mid, strong], boundaries: [0.5, 0.8]}
  single: {tiers: [weak]}
default_policy: auto
"""

RESOURCE = """\
apiVersion: steersman.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto}
spec:
  tiers: [weak, strong]
  threshold: 0.7  # agreed in May
"""


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def artefact(trained: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained artefact, and the embeddings that it needs."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(embeddings))
    return trained


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    file = tmp_path / "policies.yaml"
    file.write_text(POLICIES)
    return file


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A thousand decisions with scores all over, and ten fallbacks."""
    scores: list[float | None] = [(37 * n % 1000) / 1000 for n in range(1000)]
    return write_log(tmp_path / "decisions.jsonl", scores + [None] * 10)


def calibrate(*arguments: object) -> int:
    return main(["calibrate", "--resamples", "50", *map(str, arguments)])


def test_a_log_gives_the_boundary_of_a_share_with_its_intervals(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    assert calibrate("--log", log, "--share", "strong=0.3", "--json", file) == 0
    captured = capsys.readouterr()
    assert "1,000 rows, 10 without a score left out, artefact c0ffee" in captured.out
    assert "boundary from weak to strong: 0.7\n" in captured.out
    assert "3,000 more rows would halve the intervals" in captured.out
    assert "beware" not in captured.err
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["boundaries"] == [pytest.approx(0.7, abs=0.001)]
    assert found["shares"][1]["found"] == pytest.approx(0.3)
    assert found["artefact_digest"] == "c0ffee"


def test_a_policy_file_is_shown_and_not_written(
    log: Path, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate("--log", log, "--share", "strong=0.1", "--policy-file", policies) == 0
    printed = capsys.readouterr().out
    assert "-  auto: {tiers: [weak, strong], threshold: 0.7}   # the default" in printed
    assert "+  auto: {tiers: [weak, strong], threshold: 0.9" in printed
    assert "as it was; --write changes it" in printed
    assert policies.read_text() == POLICIES


def test_a_policy_file_is_written_when_told_to(
    log: Path, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--log",
        log,
        "--share",
        "strong=0.1",
        "--share",
        "mid=0.3",
        "--policy-file",
        policies,
        "--write",
    )
    assert calibrate(*arguments, "--policy", "three", "--traffic", "auto") == 0
    written = policies.read_text()
    assert "# the default" in written
    assert yaml.safe_load(written)["policies"]["three"]["boundaries"] == pytest.approx([0.6, 0.9], abs=0.002)
    assert f"wrote {policies}" in capsys.readouterr().out
    assert calibrate(*arguments, "--policy", "three", "--traffic", "auto") == 0
    assert "has these boundaries already" in capsys.readouterr().out


def test_a_resource_is_shown_and_written_when_told_to(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "auto.yaml"
    file.write_text(RESOURCE)
    assert calibrate("--log", log, "--share", "strong=0.1", "--policy-file", file) == 0
    printed = capsys.readouterr().out
    assert "-  threshold: 0.7  # agreed in May" in printed
    assert "as it was; --write changes it" in printed
    assert file.read_text() == RESOURCE
    assert calibrate("--log", log, "--share", "strong=0.1", "--policy-file", file, "--write") == 0
    written = file.read_text()
    assert written.endswith("  # agreed in May\n")
    assert yaml.safe_load(written)["spec"]["threshold"] == pytest.approx(0.9, abs=0.002)
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(1, "1 rows are too few", id="one"),
        pytest.param(10, "10 rows are too few: the intervals themselves mean little", id="ten"),
        pytest.param(100, "100 rows are few for this: further traffic may be off by", id="a hundred"),
    ],
)
def test_few_rows_are_warned_of(
    tmp_path: Path, rows: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "few.jsonl", [n / rows for n in range(rows)])
    assert calibrate("--log", log, "--share", "strong=0.3") == 0
    assert f"beware: {message}" in capsys.readouterr().err


def test_a_tie_that_stands_in_the_way_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "ties.jsonl", [0.2] * 600 + [0.9] * 400)
    assert calibrate("--log", log, "--share", "strong=0.3") == 0
    message = "strong gets 40.0% and not 30.0%: 60.0% of the rows have one score there"
    assert message in capsys.readouterr().err


def test_traffic_that_drifts_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = [n / 500 for n in range(500)] + [n / 1000 for n in range(500)]
    log = write_log(tmp_path / "drifting.jsonl", scores)
    assert calibrate("--log", log, "--share", "strong=0.3") == 0
    assert "beware: the traffic drifts" in capsys.readouterr().err


def test_queries_out_of_domain_count_as_they_are_decided(
    tmp_path: Path, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies.write_text(POLICIES.replace("threshold: 0.7}", "threshold: 0.7, out_of_domain: {rule: strong}}"))
    usual = write_log(tmp_path / "usual.jsonl", [n / 80 for n in range(80)])
    novel = write_log(tmp_path / "novel.jsonl", [0.0] * 20, novelty=1.0)
    file = tmp_path / "found.json"
    arguments = ("--log", usual, novel, "--share", "strong=0.3", "--json", file)
    assert calibrate(*arguments, "--policy-file", policies) == 0
    assert "20 of them out of domain (novelty from 0.999 on): strong" in capsys.readouterr().out
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["out_of_domain"] == 20
    assert found["boundaries"] == [pytest.approx(70 / 80, abs=0.02)], "10 of 80, and the 20"


def test_prompts_without_a_word_are_out_of_domain(
    artefact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": "?" * n}) + "\n" for n in range(1, 21)))
    assert calibrate("--prompts", prompts, "--artefact", artefact, "--share", "strong=0.3") == 0
    assert "20 of them out of domain (novelty from 0.999 on): proportional" in capsys.readouterr().out


def test_prompts_are_scored_with_the_artefact(
    artefact: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = (data / "mmlu_pro").iterdir()
    assert calibrate("--prompts", file, "--artefact", artefact, "--share", "strong=0.5") == 0
    digest = json.loads((artefact / "manifest.json").read_text(encoding="utf-8"))["artefact_digest"]
    assert digest[:12] in capsys.readouterr().out


def test_a_quality_is_recovered_from_prompts_with_scores(
    artefact: Path, policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answered.jsonl"
    rows = [{"prompt": f"{'prove ' * n}this", "scores": {"dear": 1, "cheap": int(n < 20)}} for n in range(40)]
    file.write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"prompt": "x", "scores": {"dear": 1}}])
    )
    models = ("--strong", "dear", "--weak", "cheap")
    arguments = ("--prompts", file, "--artefact", artefact, "--policy-file", policies, *models)
    assert calibrate(*arguments, "--recover", 0.8) == 0
    printed = capsys.readouterr().out
    assert "40 rows, 1 without scores of both models left out" in printed
    assert "quality gap recovered" in printed
    assert "threshold: 0." in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--log", "nowhere", "--share", "strong=0.3"], "cannot read nowhere", id="no log"),
        pytest.param(["--log", "LOG", "--share", "dear=0.3"], "names no tier dear", id="unknown tier"),
        pytest.param(
            ["--log", "LOG", "--share", "strong=0.8", "--share", "weak=0.4"], "add up to 1.2", id="too much"
        ),
        pytest.param(
            ["--log", "LOG", "--share", "strong=0.2", "--policy-file", "FILE", "--policy", "three"],
            "must name all tiers but one",
            id="too few shares",
        ),
        pytest.param(
            ["--log", "LOG", "--share", "weak=1", "--policy-file", "FILE", "--policy", "single"],
            "has one tier",
            id="nothing to choose",
        ),
        pytest.param(
            ["--log", "LOG", "--share", "weak=1", "--policy-file", "FILE", "--policy", "other"],
            "no policy other; there are auto, three, single",
            id="unknown policy",
        ),
        pytest.param(
            ["--log", "LOG", "--share", "weak=1", "--traffic", "other"],
            "no decision of policy other",
            id="no traffic",
        ),
        pytest.param(
            ["--log", "LOG", "--share", "weak=1", "--classifier", "beef"],
            "no score is of",
            id="no such artefact",
        ),
        pytest.param(
            ["--log", "LOG", "--share", "weak=1", "--write"], "--write needs", id="nowhere to write"
        ),
        pytest.param(["--log", "LOG", "--recover", "0.8"], "a log knows no quality", id="no quality"),
        pytest.param(["--prompts", "LOG", "--recover", "0.8"], "needs --strong and --weak", id="no models"),
        pytest.param(
            ["--prompts", "LOG", "--share", "weak=1"], "neither 'messages' nor", id="a log as prompts"
        ),
    ],
)
def test_what_went_wrong_is_one_sentence_and_status_1(
    log: Path, policies: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"LOG": str(log), "FILE": str(policies)}
    assert calibrate(*(files.get(each, each) for each in arguments)) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert policies.read_text() == POLICIES


def test_scores_of_two_artefacts_are_not_mixed(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"name": "static_head", "version": "2", "artefact_digest": "beef"}
    newer = write_log(tmp_path / "newer.jsonl", [0.1, 0.9], classifier=other)
    assert calibrate("--log", log, newer, "--share", "strong=0.3") == 1
    assert (
        "several artefacts: c0ffee (1000), beef (2); say which with --classifier" in capsys.readouterr().err
    )
    assert calibrate("--log", log, newer, "--share", "strong=0.3", "--classifier", "beef") == 0
    assert "2 rows" in capsys.readouterr().out


def test_a_damaged_line_is_named_and_nothing_is_written(
    tmp_path: Path, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "damaged.jsonl"
    log.write_bytes(a_line() + a_line()[:40] + b"\n" + a_line())
    assert calibrate("--log", log, "--share", "strong=0.3", "--policy-file", policies, "--write") == 1
    assert "damaged.jsonl, line 2: damaged" in capsys.readouterr().err
    assert policies.read_text() == POLICIES


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--share", "strong=0.3"], id="no traffic"),
        pytest.param(["--log", "x"], id="no goal"),
        pytest.param(["--log", "x", "--prompts", "y", "--share", "strong=0.3"], id="two kinds of traffic"),
        pytest.param(["--log", "x", "--share", "strong=0.3", "--recover", "0.5"], id="two goals"),
        pytest.param(["--log", "x", "--share", "0.3"], id="share of no tier"),
        pytest.param(["--log", "x", "--share", "strong=nan"], id="no number"),
        pytest.param(["--log", "x", "--recover", "0"], id="nothing to recover"),
        pytest.param(["--log", "x", "--recover", "80"], id="percent"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        calibrate(*arguments)
    assert left.value.code == 2
