"""Decision logs as the router writes them, of decisions of the test's choice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from fakes.catalogue import a_policy
from fakes.classifier import IDENTITY, assessment
from steersman.calibration.decisions import Logged
from steersman.router.accounting import Record
from steersman.router.decision_log import Closed, line
from steersman.router.ids import new_id
from steersman.router.model import CacheState, Caller, Decision, Reason, Scored, Usage


def a_line(
    score: float | None = 0.5, /, *, novelty: float = 0.25, sample_rate: float = 1.0, **changes: Any
) -> bytes:
    """A line of the router's own making, with fields changed afterwards; `...` takes a field away."""
    scored = Scored(failure=Reason.CLASSIFIER_TIMEOUT)
    if score is not None:
        scored = Scored(assessment(score, novelty=novelty), CacheState.MISS, None, IDENTITY)
    policy = a_policy()
    tier = "strong" if score is not None and score >= policy.boundaries[0] else "weak"
    reason = scored.failure or Reason.SCORE
    decision = Decision(new_id(), tier, tier, reason, policy, policy.boundaries, scored, truncated=False)
    record = Record(Caller("default"), decision=decision, usage=Usage(100, 50), usd=0.001)
    written = line(Closed(record, decision, 1.8e9), sample_rate=sample_rate)
    fields = {**orjson.loads(written), **changes}
    return orjson.dumps({name: value for name, value in fields.items() if value is not ...}) + b"\n"


def write_log(path: Path, scores: Iterable[float | None], **changes: Any) -> Path:
    """A log with a line a score."""
    path.write_bytes(b"".join(a_line(score, **changes) for score in scores))
    return path


def a_logged(score: float = 0.5, /, **changes: Any) -> Logged:
    """A decision, as it is read back."""
    tier = "strong" if score >= 0.7 else "weak"
    fields: dict[str, Any] = {
        "id": new_id(),
        "policy": "auto",
        "wanted_tier": tier,
        "tier": tier,
        "wanted_for": "SCORE",
        "own_boundaries": False,
        "boundaries": (0.7,),
        "score": score,
        "novelty": 0.25,
        "out_of_domain": "",
        "artefact_digest": "c0ffee",
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "usd": 0.001,
        "weight": 1.0,
    }
    return Logged(**{**fields, **changes})
