"""What an answer has cost, and what its tenant's quotas are told.

Engines tell how many tokens an answer took when it has ended. Where one never tells, since the caller has left before
that or the answer has broken off, they are estimated: those of the prompt by its length, those of the answer by what of
it has come. An answer that nobody has seen anything of costs its prompt when it was given up while an engine worked on
it, and nothing when the engine has failed or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from steersman.openai_api.answer import Reading
from steersman.openai_api.body import ChatBody, tokens_of
from steersman.router.accounting import Record
from steersman.router.limiting import Limiter
from steersman.router.model import Usage
from steersman.router.plan import Plan
from steersman.runtime.errors import DeadlineExceeded, Error


@contextmanager
def at_work(record: Record, tier: str) -> Iterator[None]:
    """A tier is asked for an answer, and owed for it unless it says that there will be none."""
    record.worked = tier
    try:
        yield
    except DeadlineExceeded:  # it has worked in vain
        raise
    except Error:
        record.worked = ""
        raise


@contextmanager
def billed(record: Record, plan: Plan, body: ChatBody, reading: Reading) -> Iterator[None]:
    """An answer is given as long as the context lasts; what it has cost is in the record afterwards, however it ended.

    Args:
        record: The request's.
        plan: How it was decided.
        body: What was asked.
        reading: What is read of the answer.
    """
    try:
        yield
    finally:
        record.finish_reason, record.served_model = reading.finish_reason, reading.model
        if record.worked:
            tier = plan.catalogue.tiers[record.worked]
            record.charge(_usage(body, reading), tier, plan.dearest)
            record.strong = record.begun and plan.is_strong(tier.name)


def settle(limiter: Limiter, record: Record) -> None:
    """Tell the limiter what a request has really taken."""
    if record.allowance is None:
        return
    usage = record.usage
    tokens = float(usage.prompt_tokens + usage.completion_tokens)
    if record.begun and usage.estimated:  # by leaving early nobody gets away with less than was claimed
        tokens = max(tokens, record.allowance.tokens)
    limiter.settle(record.allowance, tokens=tokens, usd=record.usd, strong=record.strong)


def _usage(body: ChatBody, reading: Reading) -> Usage:
    if reading.told_usage:
        return Usage(reading.prompt_tokens, reading.completion_tokens, reading.cached_tokens)
    return Usage(tokens_of(body.turns), reading.tokens_seen, estimated=True)
