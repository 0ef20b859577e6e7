"""The decision as HTTP response headers, `x-steersman-*`, and the stages as `Server-Timing`."""

from __future__ import annotations

from steersman.router.accounting import Record
from steersman.router.model import Stages
from steersman.router.purse import Allowance
from steersman.router.quotas import Kind, wait_for

_LIMITS = {Kind.REQUESTS: "requests", Kind.TOKENS: "tokens"}


def decision_headers(record: Record) -> dict[str, str]:
    """What a record says, as far as it is known when the answer begins."""
    made = record.decision
    if made is None:
        return {}
    headers = {
        "x-steersman-decision-id": made.id,
        "x-steersman-tier": made.tier,
        "x-steersman-wanted-tier": made.wanted_tier,
        "x-steersman-reason": made.reason.name,
        "x-steersman-policy": made.policy.name,
        "x-steersman-policy-version": made.policy.version,
        "x-steersman-cache": made.scored.cache.name,
        "x-steersman-overhead-ms": _milliseconds(record.stages.total),
        "x-steersman-retries": str(record.retries),
        "Server-Timing": _server_timing(record.stages),
    }
    if made.scored.assessment is not None:
        headers["x-steersman-score"] = f"{made.scored.assessment.score:.4f}"
        headers["x-steersman-novelty"] = f"{made.scored.assessment.novelty:.4f}"
    if made.scored.failure is not None:
        headers["x-steersman-classifier-failure"] = made.scored.failure.name
    if record.waited_seconds:
        headers["x-steersman-waited-ms"] = _milliseconds(record.waited_seconds)
    if len(made.boundaries) == 1:
        headers["x-steersman-threshold"] = f"{made.boundaries[0]:g}"
    return headers | (_of_quotas(record.allowance) if record.allowance else {})


def _of_quotas(allowance: Allowance) -> dict[str, str]:
    """What is left of requests and tokens, under OpenAI's names."""
    headers: dict[str, str] = {}
    levels = allowance.levels
    for quota in allowance.quotas.all:
        if (name := _LIMITS.get(quota.kind)) is not None:
            left = max(0.0, levels[quota.name])
            headers |= {
                f"x-ratelimit-limit-{name}": str(int(quota.amount)),
                f"x-ratelimit-remaining-{name}": str(int(left)),
                f"x-ratelimit-reset-{name}": f"{wait_for(quota, left, quota.amount):.3f}s",
            }
    return headers


def _server_timing(stages: Stages) -> str:
    return ", ".join(f"{name};dur={_milliseconds(seconds)}" for name, seconds in stages.items())


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3f}"
