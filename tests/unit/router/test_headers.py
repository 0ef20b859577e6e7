from __future__ import annotations

from dataclasses import replace

from steersman.router.accounting import Record
from steersman.router.headers import decision_headers


def test_a_decision_is_told_in_headers(record: Record) -> None:
    assert record.decision is not None
    assert decision_headers(record) == {
        "x-steersman-decision-id": record.decision.id,
        "x-steersman-tier": "strong",
        "x-steersman-wanted-tier": "strong",
        "x-steersman-reason": "SCORE",
        "x-steersman-policy": "auto",
        "x-steersman-policy-version": "v-of-auto",
        "x-steersman-cache": "MISS",
        "x-steersman-score": "0.8750",
        "x-steersman-novelty": "0.2500",
        "x-steersman-threshold": "0.75",
        "x-steersman-overhead-ms": "15.000",
        "x-steersman-retries": "1",
        "Server-Timing": (
            "admission;dur=1.000, cache;dur=2.000, classify;dur=3.000, decide;dur=4.000, dispatch;dur=5.000"
        ),
    }


def test_a_failure_of_the_classifier_takes_the_scores_place(unscored: Record) -> None:
    headers = decision_headers(unscored)
    assert headers["x-steersman-classifier-failure"] == "CLASSIFIER_TIMEOUT"
    assert (headers["x-steersman-tier"], headers["x-steersman-wanted-tier"]) == ("weak", "strong")
    assert headers["x-steersman-reason"] == "TIER_UNAVAILABLE"
    assert headers["x-steersman-cache"] == "BYPASSED"
    assert "x-steersman-score" not in headers


def test_a_query_out_of_domain_is_told_with_its_novelty(novel: Record) -> None:
    headers = decision_headers(novel)
    assert (headers["x-steersman-reason"], headers["x-steersman-novelty"]) == ("OUT_OF_DOMAIN", "1.0000")


def test_a_wait_is_told_and_is_no_overhead(record: Record) -> None:
    record.waited_seconds = 1.5
    headers = decision_headers(record)
    assert headers["x-steersman-waited-ms"] == "1500.000"
    assert headers["x-steersman-overhead-ms"] == "15.000"


def test_more_than_one_boundary_is_no_threshold(record: Record) -> None:
    assert record.decision is not None
    record.decision = replace(record.decision, boundaries=(0.25, 0.75))
    assert "x-steersman-threshold" not in decision_headers(record)


def test_without_a_decision_there_is_nothing_to_tell() -> None:
    assert decision_headers(Record()) == {}
