"""The record of a request: what was decided, what it took, what it cost. Counters and spans are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from steersman.openai_api.body import ChatBody
from steersman.router.model import NOBODY, Caller, Decision, Reason, Stages, Tier, Usage
from steersman.router.purse import Allowance


@dataclass(slots=True)
class Record:
    """One request, from admission to its last byte."""

    caller: Caller = NOBODY
    allowance: Allowance | None = None
    """What its tenant's quotas let it in with; None where there are none."""
    stages: Stages = field(default_factory=Stages)
    decision: Decision | None = None
    """None when the request was refused before anything was decided."""
    wanted_for: Reason | None = None
    """Why the tier was wanted, where the decision's reason may tell of another tier that stood in for it."""
    worked: str = ""
    """The tier that was last at work for the request; empty where none was, or only in vain."""
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = ""
    served_model: str = ""
    usd: float = 0.0
    strongest_usd: float = 0.0
    """What the policy's dearest tier would have charged for the same tokens."""
    joules: float = 0.0
    strong: bool = False
    """Whether it counts as a call of the dearest tier."""
    retries: int = 0
    waited_seconds: float = 0.0
    """Time in the waiting room; no part of what Steersman adds, and of none of its stages."""
    first_byte_seconds: float | None = None
    outcome: str = "OK"
    """OK, or the reason of the error that ended the request."""

    @property
    def begun(self) -> bool:
        """Whether an answer has begun."""
        return self.first_byte_seconds is not None

    def charge(self, usage: Usage, tier: Tier, strongest: Tier) -> None:
        """Note what the answer took, and price it."""
        self.usage = usage
        self.usd = tier.price.usd(usage.prompt_tokens, usage.completion_tokens)
        self.strongest_usd = strongest.price.usd(usage.prompt_tokens, usage.completion_tokens)
        self.joules = tier.price.joules_per_output_token * usage.completion_tokens


class Ledger(Protocol):
    """Where records go."""

    def closed(self, record: Record) -> None:
        """A request has ended, whichever way."""
        ...


class Captures(Protocol):
    """Where prompts go that are to be labelled."""

    def offer(self, record: Record, body: ChatBody, rates: Mapping[str, float]) -> None:
        """A request has ended whose tenant has some of its prompts kept; returns at once, whatever becomes of it.

        Args:
            record: The request's.
            body: What was asked.
            rates: The part that is kept, by policy.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Several ledgers as one: each gets every record."""

    all: tuple[Ledger, ...]

    def closed(self, record: Record) -> None:
        """See `Ledger`."""
        for ledger in self.all:
            ledger.closed(record)
