"""The router's values as protobuf messages."""

from __future__ import annotations

import math
from typing import Final, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from steersman.api.v1 import decision_pb2, decision_service_pb2, router_service_pb2
from steersman.router import explaining
from steersman.router.accounting import Record
from steersman.router.explaining import Rule
from steersman.router.ids import made_at
from steersman.router.model import CacheState, ClassifierId, Reason, Stages

_REASONS: Final = {
    reason: cast(
        "decision_pb2.DecisionReason", decision_pb2.DecisionReason.Value(f"DECISION_REASON_{reason.name}")
    )
    for reason in Reason
}
_CACHE: Final = {
    state: cast("decision_pb2.CacheState", decision_pb2.CacheState.Value(f"CACHE_STATE_{state.name}"))
    for state in CacheState
}
_RULES: Final = {
    rule: cast(
        "decision_service_pb2.DecisionRule",
        decision_service_pb2.DecisionRule.Value(f"DECISION_RULE_{rule.name}"),
    )
    for rule in Rule
}


def decision(record: Record) -> decision_pb2.Decision:
    """The decision of a record that has one."""
    made = record.decision
    if made is None:
        raise ValueError("nothing was decided")
    message = decision_pb2.Decision(
        id=made.id,
        tier=made.tier,
        wanted_tier=made.wanted_tier,
        reason=_REASONS[made.reason],
        truncated=made.truncated,
        boundaries=made.boundaries,
        policy=made.policy.name,
        policy_version=made.policy.version,
        cache=_CACHE[made.scored.cache],
        out_of_domain=made.out_of_domain is not None,
    )
    scored = made.scored
    if scored.assessment is not None:
        message.score = scored.assessment.score
        message.novelty = scored.assessment.novelty
        if not math.isnan(scored.assessment.win_probability):
            message.win_probability = scored.assessment.win_probability
    if scored.failure is not None:
        message.classifier_failure = _REASONS[scored.failure]
    if scored.classifier is not None:
        message.classifier.CopyFrom(classifier(scored.classifier))
    return message


def explanation(record: Record) -> decision_service_pb2.ExplainDecisionResponse:
    """A decision and what led to it."""
    made = explaining.decided(record)
    limit = made.policy.out_of_domain
    decided = Timestamp()
    decided.FromMilliseconds(round(made_at(made.id) * 1000))
    return decision_service_pb2.ExplainDecisionResponse(
        sentence=explaining.sentence(record),
        decision=decision(record),
        rule=_RULES[explaining.rule_of(record)],
        tiers=made.policy.tiers,
        own_threshold=made.boundaries != made.policy.boundaries,
        novelty_limit=limit.novelty if limit else None,
        decide_time=decided,
        outcome=record.outcome,
        summary=summary(record),
    )


def classifier(identity: ClassifierId) -> decision_pb2.Classifier:
    """A classifier's identity."""
    return decision_pb2.Classifier(
        name=identity.name, version=identity.version, artefact_digest=identity.artefact_digest
    )


def overhead(stages: Stages) -> decision_pb2.Overhead:
    """What each stage took; a stage that there was not is left out."""
    message = decision_pb2.Overhead()
    for name, seconds in (*stages.items(), ("total", stages.total)):
        if seconds:
            getattr(message, name).CopyFrom(_duration(seconds))
    return message


def summary(record: Record) -> router_service_pb2.Summary:
    """What an answer took."""
    usage = record.usage
    return router_service_pb2.Summary(
        finish_reason=record.finish_reason,
        served_model=record.served_model,
        usage=decision_pb2.Usage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
        ),
        cost=decision_pb2.Cost(usd=record.usd, strongest_tier_usd=record.strongest_usd, joules=record.joules),
        overhead=overhead(record.stages),
        retries=record.retries,
        waited=_duration(record.waited_seconds) if record.waited_seconds else None,
    )


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
