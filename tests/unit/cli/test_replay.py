from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.logged import write_log
from steersman.cli.__main__ import main

POLICIES = """\
tiers:
  weak:
    model: w
    upstream: {kind: backend, target: "weak:9000"}
    price: {input_usd_per_million_tokens: 1, output_usd_per_million_tokens: 2}
  strong:
    model: s
    upstream: {kind: backend, target: "strong:9000"}
    price: {input_usd_per_million_tokens: 10, output_usd_per_million_tokens: 20}
policies:
  auto: {tiers: [weak, strong], threshold: 0.7}
  thrifty: {tiers: [weak, strong], threshold: 0.9}
default_policy: auto
"""


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    file = tmp_path / "policies.yaml"
    file.write_text(POLICIES)
    return file


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A hundred decisions with scores all over, at the prices of `POLICIES`, and two fallbacks."""
    weak = write_log(tmp_path / "weak", [n / 100 for n in range(70)], usd=0.0002)
    strong = write_log(tmp_path / "strong", [n / 100 for n in range(70, 100)], usd=0.002)
    none = write_log(tmp_path / "none", [None, None], usd=0.0002)
    file = tmp_path / "decisions.jsonl"
    file.write_bytes(b"".join(each.read_bytes() for each in (weak, strong, none)))
    return file


def replay(*arguments: object) -> int:
    return main(["replay", "--resamples", "50", *map(str, arguments)])


def found(*arguments: object, file: Path) -> dict[str, object]:
    assert replay(*arguments, "--json", file) == 0
    read: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    return read


def difference(of: object) -> float:
    assert isinstance(of, dict)
    return float(of["difference"]["value"])


def test_the_policy_that_decided_changes_nothing(log: Path, policies: Path, tmp_path: Path) -> None:
    result = found("--log", log, "--policy-file", policies, file=tmp_path / "found.json")
    assert result["moved"] == 0
    assert difference(result["usd"]) == pytest.approx(0.0)


def test_another_policy_is_compared_with_what_happened(
    log: Path, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay("--log", log, "--policy-file", policies, "--policy", "thrifty") == 0
    printed = capsys.readouterr().out
    assert "tiers weak, strong with boundaries 0.9" in printed
    assert "102 decisions, 20 would have moved; 2 kept: no score" in printed
    for word in ("share of strong", "29.4%", "9.8%", "US dollars per 1,000 queries"):
        assert word in printed


def test_boundaries_and_prices_may_be_tried_without_a_policy(
    log: Path, policies: Path, tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    bounded = found("--log", log, "--policy-file", policies, "--boundaries", "0.9", file=file)
    assert bounded["moved"] == 20
    assert difference(bounded["usd"]) == pytest.approx(-20 * 0.0018 / 102 * 1000)
    priced = found("--log", log, "--policy-file", policies, "--price", "strong=20:40", file=file)
    assert priced["moved"] == 0
    assert difference(priced["usd"]) == pytest.approx(30 * 0.002 / 102 * 1000)


def test_queries_out_of_domain_go_by_the_rule_of_the_policy_that_is_tried(
    tmp_path: Path, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "novel.jsonl", [0.9] * 5, novelty=0.95)
    policies.write_text(
        POLICIES.replace("threshold: 0.9", "threshold: 0.5, out_of_domain: {novelty: 0.9, rule: weak}")
    )
    file = tmp_path / "found.json"
    tried = found("--log", log, "--policy-file", policies, "--policy", "thrifty", file=file)
    assert (tried["moved"], tried["out_of_domain"]) == (5, 5)
    what_if = tried["what_if"]
    assert isinstance(what_if, dict)
    assert what_if["out_of_domain"] == {"novelty": 0.9, "rule": "weak"}
    assert "5 decisions, 5 would have moved; 5 out of domain: weak" in capsys.readouterr().out


def test_quality_is_told_where_labels_are_known(
    log: Path, policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [json.loads(line)["id"] for line in log.read_text(encoding="utf-8").splitlines()]
    labels = tmp_path / "labels.jsonl"
    rows = [{"id": each, "quality": {"weak": 0.5, "strong": 1.0}} for each in ids[:90]]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert replay("--log", log, "--policy-file", policies, "--labels", labels, "--boundaries", "0.8") == 0
    printed = capsys.readouterr().out
    assert "quality is known of 90 decisions" in printed
    assert "-0.056" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--policy", "other"], "no policy other; there are auto, thrifty", id="unknown policy"),
        pytest.param(["--boundaries", "0.2,0.4"], "2 tiers, which need 1 boundaries", id="boundaries"),
        pytest.param(["--price", "dear=1:2"], "names no tier dear", id="unknown tier"),
        pytest.param(["--traffic", "other"], "no decision of policy other", id="no traffic"),
        pytest.param(["--policy-file", "RESOURCE"], "resources, which have no prices", id="resources"),
        pytest.param(["--labels", "nowhere"], "cannot read nowhere", id="no labels"),
    ],
)
def test_what_went_wrong_is_one_sentence_and_status_1(
    log: Path, policies: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = policies.with_name("auto.yaml")
    resource.write_text("kind: RoutingPolicy\n")
    files = {"RESOURCE": resource}
    assert (
        replay("--log", log, "--policy-file", policies, *(files.get(each, each) for each in arguments)) == 1
    )
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--boundaries", "0.8,0.2"], id="falling"),
        pytest.param(["--boundaries", "high"], id="a word"),
        pytest.param(["--price", "strong=1"], id="half a price"),
        pytest.param(["--price", "strong=-1:2"], id="a gift"),
        pytest.param(["--price", "strong=1:inf"], id="beyond price"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        replay("--log", "x", "--policy-file", "y", *arguments)
    assert left.value.code == 2
