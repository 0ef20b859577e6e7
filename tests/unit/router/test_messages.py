from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration

from fakes.classifier import IDENTITY
from steersman.api.v1 import decision_pb2, router_service_pb2
from steersman.router import messages
from steersman.router.accounting import Record
from steersman.router.model import CacheState, Reason, Scored, Stages

# The numbers of the record are exact as float32, so that they come through unchanged.


def test_a_decision_is_told_whole(record: Record) -> None:
    assert record.decision is not None
    assert messages.decision(record) == decision_pb2.Decision(
        id=record.decision.id,
        tier="strong",
        wanted_tier="strong",
        reason=decision_pb2.DECISION_REASON_SCORE,
        score=0.875,
        win_probability=0.625,
        novelty=0.25,
        truncated=True,
        boundaries=[0.75],
        policy="auto",
        policy_version="v-of-auto",
        classifier=decision_pb2.Classifier(name=IDENTITY.name, version="1", artefact_digest="c0ffee"),
        cache=decision_pb2.CACHE_STATE_MISS,
    )


def _overhead(stages: Stages) -> decision_pb2.Overhead:
    message = decision_pb2.Overhead()
    messages.write_overhead(message, stages)
    return message


def _summary(record: Record) -> router_service_pb2.Summary:
    message = router_service_pb2.Summary()
    messages.write_summary(message, record)
    return message


def test_a_method_without_a_win_probability_tells_none(without_win_probability: Record) -> None:
    message = messages.decision(without_win_probability)
    assert not message.HasField("win_probability")
    assert message.HasField("score")
    assert message.HasField("novelty")


def test_a_query_out_of_domain_is_told_also_where_another_reason_stands(novel: Record) -> None:
    assert novel.decision is not None
    message = messages.decision(novel)
    assert (message.reason, message.novelty) == (decision_pb2.DECISION_REASON_OUT_OF_DOMAIN, 1.0)
    assert message.out_of_domain
    novel.decision = replace(novel.decision, tier="weak", reason=Reason.TIER_COLD)
    assert messages.decision(novel).out_of_domain


def test_a_failure_of_the_classifier_is_told_and_no_score(unscored: Record) -> None:
    message = messages.decision(unscored)
    assert message.classifier_failure == decision_pb2.DECISION_REASON_CLASSIFIER_TIMEOUT
    assert message.reason == decision_pb2.DECISION_REASON_TIER_UNAVAILABLE
    assert not message.HasField("score")
    assert not message.HasField("novelty")


def test_a_decision_without_a_classifier_names_none(record: Record) -> None:
    assert record.decision is not None
    record.decision = replace(record.decision, scored=Scored(), reason=Reason.OVERRIDE)
    message = messages.decision(record)
    assert not message.HasField("classifier")
    assert message.cache == decision_pb2.CACHE_STATE_UNSPECIFIED
    assert message.classifier_failure == decision_pb2.DECISION_REASON_UNSPECIFIED


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_name_in_the_api(record: Record, reason: Reason) -> None:
    assert record.decision is not None
    record.decision = replace(record.decision, reason=reason)
    told = decision_pb2.DecisionReason.Name(messages.decision(record).reason)
    assert told == f"DECISION_REASON_{reason.name}"


@pytest.mark.parametrize("state", CacheState)
def test_every_cache_state_has_its_name_in_the_api(record: Record, state: CacheState) -> None:
    assert record.decision is not None
    record.decision = replace(record.decision, scored=replace(record.decision.scored, cache=state))
    assert decision_pb2.CacheState.Name(messages.decision(record).cache) == f"CACHE_STATE_{state.name}"


def test_the_api_has_no_reason_or_state_that_is_never_used() -> None:
    assert len(decision_pb2.DecisionReason.keys()) == len(Reason) + 1  # and UNSPECIFIED
    assert len(decision_pb2.CacheState.keys()) == len(CacheState)


def test_nothing_is_told_of_a_record_without_a_decision() -> None:
    with pytest.raises(ValueError, match="nothing was decided"):
        messages.decision(Record())


def test_overhead_is_told_by_stage(record: Record) -> None:
    overhead = _overhead(record.stages)
    told = [getattr(overhead, stage).ToMicroseconds() for stage in Stages.__dataclass_fields__]
    assert told == pytest.approx([1000, 2000, 3000, 4000, 5000], abs=1)
    assert overhead.total.ToMicroseconds() == pytest.approx(15_000, abs=1)


def test_more_than_a_second_is_told_right() -> None:
    assert _overhead(Stages(dispatch=61.25)).dispatch == Duration(seconds=61, nanos=250_000_000)


def test_a_summary_tells_what_the_answer_took(record: Record) -> None:
    summary = _summary(record)
    assert (summary.finish_reason, summary.served_model, summary.retries) == ("stop", "strong-model", 1)
    assert summary.usage == decision_pb2.Usage(prompt_tokens=70, completion_tokens=30, cached_tokens=20)
    assert summary.cost == decision_pb2.Cost(usd=0.5, strongest_tier_usd=2.0, joules=4.0)
    assert summary.overhead == _overhead(record.stages)


def test_a_wait_is_told_where_there_was_one(record: Record) -> None:
    assert not _summary(record).HasField("waited")
    record.waited_seconds = 1.5
    assert _summary(record).waited == Duration(seconds=1, nanos=500_000_000)
    assert _summary(record).overhead.total == _overhead(record.stages).total
