"""The values that labelling works on: a query, what somebody replied to a question, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Tier = Literal["strong", "weak"]
Winner = Literal["strong", "weak", "tie"]

STRONG: Final[Tier] = "strong"
WEAK: Final[Tier] = "weak"
TIERS: Final[tuple[Tier, ...]] = (STRONG, WEAK)

Row = dict[str, Any]
"""One parsed JSON line."""
Messages = Sequence[Mapping[str, Any]]
"""A conversation, as a chat request has it."""


@dataclass(frozen=True, slots=True)
class Query:
    """Something to be answered by both tiers."""

    id: str
    """Fingerprint of its messages, in hex: the same query has the same one in every file."""
    text: str
    """What a classifier sees of it."""
    messages: Messages
    row: Mapping[str, Any]
    """The line that it came from, as it was."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model replied."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    metered: bool
    """Whether the model told its tokens; if not, they are estimates."""
    usd: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A tier's answer to a query."""

    query: str
    """Id of the query."""
    tier: Tier
    model: str
    """As it was asked for."""
    reply: Reply


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said of two answers in one order."""

    query: str
    first: Tier
    """Whose answer stood first."""
    winner: Winner | None
    """None where the judge's reply names none in the form that was asked for."""
    judge: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Label:
    """Which tier answered a query better."""

    query: Query
    winner: Winner
    scores: Mapping[Tier, float]
    """Success of each tier, in 0..1."""
    source: Literal["reference", "same answers", "judge"]
