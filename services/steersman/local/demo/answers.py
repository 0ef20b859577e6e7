"""What the router says about a query and how it answers, alike for every way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from steersman.local.demo.queries import Query

STAGES: Final = ("admission", "cache", "classify", "decide", "dispatch")
"""Stages of the router's overhead, in their order."""
SECONDS: Final = 120.0
"""Deadline of one query."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        text: What the model said.
        tier: Which tier answered.
        reason: Why that one.
        score: Of the classifier, None where it did not answer.
        threshold: What the score was held against, None without one.
        cache: Where the score came from.
        stages_ms: Milliseconds that the router added, by stage.
        input_tokens: Of the request.
        output_tokens: Of the answer.
    """

    text: str
    tier: str
    reason: str
    score: float | None
    threshold: float | None
    cache: str
    stages_ms: Mapping[str, float]
    input_tokens: int
    output_tokens: int

    @property
    def overhead_ms(self) -> float:
        """All that the router added."""
        return sum(self.stages_ms.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """A query with its answer.

    Attributes:
        query: What was asked.
        answer: What came back.
        seconds: From asking to the end of the answer.
        trace_id: Of the request's trace.
    """

    query: Query
    answer: Answer
    seconds: float
    trace_id: str
