"""Many calls at once, but not too many: what comes back is kept as it comes, what fails is counted by reason.

A call that fails costs no other one its turn, since the next run asks again for what is missing. But where calls fail
one after the other something is wrong with all of them, and the rest is not tried.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import orjson

from steersman.classifier.errors import ClassifierError
from steersman.labelling.budget import Budget, Exhausted
from steersman.labelling.model import Messages, Reply
from steersman.labelling.ports import Chat
from steersman.openai_api import refusals
from steersman.runtime.errors import Error, Refused

HOPELESS: Final = 8
"""Failures with no success between them after which the rest is not tried."""

_NOT_FOUND: Final = 404
_IDENTIFIER: Final = re.compile(r"[\w.\[\]-]{1,64}")


@dataclass(frozen=True, slots=True)
class Call:
    """Something to ask, and where its reply goes."""

    chat: Chat
    messages: Messages
    keep: Callable[[Reply], None]


@dataclass(slots=True)
class Tally:
    """What came of the calls so far."""

    replies: int = 0
    estimated: int = 0
    """Replies whose tokens the server did not tell."""
    cut: int = 0
    """Replies that ended at the longest that was asked for."""
    failures: Counter[str] = field(default_factory=Counter)
    """By the error's words."""
    stopped: str | None = None
    """Why not all calls were made."""
    in_a_row: int = 0
    """Failures since the last reply."""


Progress = Callable[[Tally], None]
"""Told after each call."""


async def ask_all(calls: Iterable[Call], budget: Budget, *, at_once: int, progress: Progress) -> Tally:
    """Make the calls, so many of them at once; stop where the budget or the models do.

    Raises:
        ClassifierError: A reply cannot be kept.
    """
    tally, left = Tally(), iter(calls)
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(_work(left, budget, tally, progress))
    except* ClassifierError as errors:
        raise errors.exceptions[0] from None
    return tally


async def _work(calls: Iterator[Call], budget: Budget, tally: Tally, progress: Progress) -> None:
    """One worker of several that take from the same calls."""
    for call in calls:
        try:
            async with budget.reserved(call.chat.most_usd(call.messages)):
                await _make(call, budget, tally)
        except Exhausted:
            tally.stopped = tally.stopped or "the next call could cost more than --max-cost leaves"
        progress(tally)
        if tally.stopped:
            return


async def _make(call: Call, budget: Budget, tally: Tally) -> None:
    if tally.stopped:  # while this one waited for its share of the budget
        return
    try:
        reply = await call.chat.ask(call.messages)
    except Error as error:
        _note(error, call.chat.model, tally)
        return
    budget.pay(reply.usd)
    call.keep(reply)
    tally.replies += 1
    tally.in_a_row = 0
    tally.estimated += not reply.metered
    tally.cut += reply.finish_reason == "length"


def _note(error: Error, model: str, tally: Tally) -> None:
    words = f"{model}: {error.message}"
    if isinstance(error, Refused):
        words = " ".join((words, *_identifiers(error.body)))
    else:  # a refusal is about one request, which will be refused again, and says nothing about the others
        tally.in_a_row += 1
    tally.failures[words] += 1
    if tally.in_a_row >= HOPELESS or _holds_for_all(error):
        tally.stopped = words


def _holds_for_all(error: Error) -> bool:
    """Whether the key or the model is wrong, as it would be in any other call."""
    return error.reason == refusals.UNAUTHORIZED or (
        isinstance(error, Refused) and error.status == _NOT_FOUND
    )


def _identifiers(body: bytes) -> Iterator[str]:
    """The code and the field that a refusal names; its message may quote the prompt."""
    with suppress(orjson.JSONDecodeError, AttributeError):
        error = orjson.loads(body).get("error")
        for name in ("code", "param"):
            value = error.get(name)
            if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
                yield value
