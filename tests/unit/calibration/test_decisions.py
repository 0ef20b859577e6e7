from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from fakes.logged import a_line, a_logged, write_log
from steersman.calibration import decisions
from steersman.classifier.errors import DataError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def test_what_the_router_writes_is_read(log: Path) -> None:
    (found,) = decisions.read([write_log(log, [0.75], sample_rate=0.25, boundaries_from="caller")])
    assert (found.policy, found.tier, found.wanted_tier, found.wanted_for) == (
        "auto",
        "strong",
        "strong",
        "SCORE",
    )
    assert (found.score, found.artefact_digest, found.weight) == (0.75, "c0ffee", 4.0)
    assert (found.prompt_tokens, found.completion_tokens, found.usd) == (100, 50, 0.001)
    assert found.scored
    assert found.answered
    assert found.own_boundaries


def test_what_decided_a_query_out_of_domain_is_read(log: Path) -> None:
    (found,) = decisions.read([write_log(log, [0.75], novelty=1.0)])
    assert (found.novelty, found.out_of_domain, found.boundaries) == (1.0, "proportional", (0.7,))


def test_a_line_of_before_there_was_such_a_rule_is_read(log: Path) -> None:
    (found,) = decisions.read([write_log(log, [0.75], out_of_domain=...)])
    assert (found.novelty, found.out_of_domain) == (0.25, "")


@pytest.mark.parametrize(
    ("changes", "wanted_for"),
    [
        pytest.param({"wanted_for": "SESSION"}, "SESSION", id="told"),
        pytest.param({"wanted_for": ...}, "", id="not told"),
        pytest.param({"wanted_for": None}, "", id="not known"),
        pytest.param({"wanted_for": ..., "tier": "strong", "reason": "BUDGET"}, "BUDGET", id="as wanted"),
    ],
)
def test_why_a_tier_was_wanted_that_another_stood_in_for_is_read_where_it_is_told(
    log: Path, changes: dict[str, Any], wanted_for: str
) -> None:
    (found,) = decisions.read(
        [write_log(log, [0.75], **{"tier": "weak", "reason": "TIER_UNAVAILABLE", **changes})]
    )
    assert found.wanted_for == wanted_for


def test_a_fallback_is_read_as_one_without_a_score(log: Path) -> None:
    (found,) = decisions.read([write_log(log, [None])])
    assert math.isnan(found.score)
    assert not found.scored


def test_the_routers_other_log_lines_may_stand_between(log: Path) -> None:
    other = (
        b'{"time": "now", "level": "INFO", "logger": "steersman.router", "message": "policy file taken"}\n'
    )
    log.write_bytes(other + a_line() + other)
    assert len(decisions.read([log])) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"schema": "steersman.decision/2"}, "its schema is not steersman.decision/1", id="newer"
        ),
        pytest.param({"schema": ...}, "its schema is not", id="something else"),
        pytest.param({"score": ...}, "no column 'score'", id="no score"),
        pytest.param({"score": 1.5}, "'score' is 1.5", id="score out of range"),
        pytest.param({"novelty": -1}, "'novelty' is -1", id="novelty out of range"),
        pytest.param({"boundaries": 0.7}, "'boundaries' is no list", id="no boundaries"),
        pytest.param({"boundaries": ["high"]}, "'boundaries' is no number", id="a boundary of no number"),
        pytest.param({"tier": ...}, "no column 'tier'", id="no tier"),
        pytest.param({"policy": 3}, "'policy' is no text", id="policy of no name"),
        pytest.param({"prompt_tokens": -1}, "'prompt_tokens' is -1", id="negative tokens"),
        pytest.param({"sample_rate": 0}, "'sample_rate' is 0", id="no sample"),
        pytest.param({"classifier": "c0ffee"}, "'classifier' is no object", id="classifier"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(log: Path, changes: dict[str, Any], message: str) -> None:
    log.write_bytes(a_line() + a_line(**changes))
    with pytest.raises(DataError, match="line 2: ") as caught:
        decisions.read([log])
    assert message in str(caught.value)


def test_a_score_that_is_no_number_is_named(log: Path) -> None:
    log.write_bytes(a_line().replace(b'"score":0.5', b'"score":NaN'))
    with pytest.raises(DataError, match="line 1: 'score' is nan"):
        decisions.read([log])


def test_a_file_without_a_decision_is_named(log: Path) -> None:
    log.write_bytes(b"")
    with pytest.raises(DataError, match=r"decisions.jsonl: no decision in it"):
        decisions.read([log])


def test_the_only_policy_need_not_be_named() -> None:
    rows = [a_logged(), a_logged(policy="")]
    assert decisions.of_policy(rows, None) == rows[:1]


def test_of_several_policies_one_must_be_named() -> None:
    rows = [a_logged(), a_logged(), a_logged(policy="other")]
    with pytest.raises(DataError, match=r"auto \(2\), other \(1\); say which with --traffic"):
        decisions.of_policy(rows, None)
    assert decisions.of_policy(rows, "other") == rows[2:]


def test_a_policy_that_is_not_in_the_log_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(DataError, match=r"no decision of policy cheap; it has auto \(1\)"):
        decisions.of_policy([a_logged()], "cheap")


def test_a_mix_of_artefacts_is_refused() -> None:
    rows = [a_logged(), a_logged(), a_logged(artefact_digest="beef"), a_logged(math.nan, artefact_digest="")]
    with pytest.raises(DataError, match=r"several artefacts: c0ffee \(2\), beef \(1\); say which"):
        decisions.of_classifier(rows, None)
    assert decisions.of_classifier(rows, "be") == rows[2:]


@pytest.mark.parametrize(
    ("digest", "message"),
    [("dead", "no score is of an artefact dead"), ("", "the beginning of several digests")],
)
def test_a_digest_must_say_which(digest: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decisions.of_classifier([a_logged(), a_logged(artefact_digest="beef")], digest)


def test_a_log_of_fallbacks_alone_has_no_scores() -> None:
    with pytest.raises(DataError, match="no decision of the log has a score"):
        decisions.of_classifier([a_logged(math.nan)], None)
