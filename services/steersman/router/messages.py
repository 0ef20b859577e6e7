"""The router's values as protobuf messages."""

from __future__ import annotations

import math
from functools import lru_cache
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
    message = decision_pb2.Decision()
    write_decision(message, record)
    return message


def write_decision(message: decision_pb2.Decision, record: Record) -> None:
    """Write the decision of a record that has one into a message, which costs less than to make one and copy it."""
    made = explaining.decided(record)
    scored, policy = made.scored, made.policy
    message.CopyFrom(_constant(policy.name, policy.version, made.boundaries, scored.classifier))
    message.id = made.id
    message.tier = made.tier
    message.wanted_tier = made.wanted_tier
    message.reason = _REASONS[made.reason]
    message.cache = _CACHE[scored.cache]
    message.truncated = made.truncated
    message.out_of_domain = made.out_of_domain is not None
    if scored.assessment is not None:
        message.score = scored.assessment.score
        message.novelty = scored.assessment.novelty
        if not math.isnan(scored.assessment.win_probability):
            message.win_probability = scored.assessment.win_probability
    if scored.failure is not None:
        message.classifier_failure = _REASONS[scored.failure]


@lru_cache(maxsize=256)
def _constant(
    policy: str, version: str, boundaries: tuple[float, ...], identity: ClassifierId | None
) -> decision_pb2.Decision:
    """What is the same in all decisions of a policy."""
    return decision_pb2.Decision(
        policy=policy,
        policy_version=version,
        boundaries=boundaries,
        classifier=None if identity is None else classifier(identity),
    )


def explanation(record: Record) -> decision_service_pb2.ExplainDecisionResponse:
    """A decision and what led to it."""
    made = explaining.decided(record)
    limit = made.policy.out_of_domain
    decided = Timestamp()
    decided.FromMilliseconds(round(made_at(made.id) * 1000))
    message = decision_service_pb2.ExplainDecisionResponse(
        sentence=explaining.sentence(record),
        decision=decision(record),
        rule=_RULES[explaining.rule_of(record)],
        tiers=made.policy.tiers,
        own_threshold=made.boundaries != made.policy.boundaries,
        novelty_limit=limit.novelty if limit else None,
        decide_time=decided,
        outcome=record.outcome,
    )
    write_summary(message.summary, record)
    return message


def classifier(identity: ClassifierId) -> decision_pb2.Classifier:
    """A classifier's identity."""
    return decision_pb2.Classifier(
        name=identity.name, version=identity.version, artefact_digest=identity.artefact_digest
    )


def write_overhead(message: decision_pb2.Overhead, stages: Stages) -> None:
    """Write what each stage took; a stage that there was not is left out."""
    for name, seconds in stages.items():
        if seconds:
            _write_duration(getattr(message, name), seconds)
    if total := stages.total:
        _write_duration(message.total, total)


def write_summary(message: router_service_pb2.Summary, record: Record) -> None:
    """Write what an answer took."""
    message.finish_reason = record.finish_reason
    message.served_model = record.served_model
    message.usage.prompt_tokens = record.usage.prompt_tokens
    message.usage.completion_tokens = record.usage.completion_tokens
    message.usage.cached_tokens = record.usage.cached_tokens
    message.usage.estimated = record.usage.estimated
    message.cost.usd = record.usd
    message.cost.strongest_tier_usd = record.strongest_usd
    message.cost.joules = record.joules
    message.retries = record.retries
    write_overhead(message.overhead, record.stages)
    if record.waited_seconds:
        _write_duration(message.waited, record.waited_seconds)


def _write_duration(message: Duration, seconds: float) -> None:
    whole = int(seconds)
    message.seconds = whole
    message.nanos = int((seconds - whole) * 1e9)
