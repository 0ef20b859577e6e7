"""The decision log: a line of JSON for each decided request, with its score and none of its text; and of each feedback.

What a policy did to real traffic can be read from it, and what another would have done: `steersman calibrate` and
`steersman replay` read it. A line holds numbers, and names that the operator or this process gave, so that nothing
of what a caller wrote can be in it. It is written off the request's path, and given up before a request is harmed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import orjson

from steersman.router.accounting import Record
from steersman.router.decisions import Feedback
from steersman.router.model import Decision
from steersman.router.ports import LineSink
from steersman.runtime.gathering import gathered

log = logging.getLogger(__name__)

SCHEMA: Final = "steersman.decision/1"
"""Stands in each line; another number means that fields have changed their meaning or are gone."""

Outcome = Literal["written", "queue_full", "not_written"]
"""What became of a line."""

FEEDBACK_SCHEMA: Final = "steersman.feedback/1"
"""Stands in each line that tells what a caller said of an answer."""

_BATCH: Final = 512
_CLOSING_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Closed:
    """A request that has ended, and when, in seconds since the epoch."""

    record: Record
    decision: Decision
    at: float


@dataclass(frozen=True, slots=True)
class Rated:
    """What a caller said of an answer, and when, in seconds since the epoch."""

    feedback: Feedback
    at: float


class DecisionLog:
    """Writes decisions to a sink; implements `steersman.router.accounting.Ledger`.

    Args:
        sink: Takes the lines, in a thread of its own.
        sample_rate: Part of the decisions that is logged, in (0, 1].
        queue: Decisions that wait to be written; more are dropped.
        on_lines: Told how many lines came to which end.
    """

    def __init__(
        self, sink: LineSink, *, sample_rate: float, queue: int, on_lines: Callable[[Outcome, int], None]
    ) -> None:
        self._sink = sink
        self._sample_rate = sample_rate
        self._queue: asyncio.Queue[Closed | Rated] = asyncio.Queue(queue)
        self._on_lines = on_lines
        self._failing = False
        # One thread, so that batches stay in order and the last one waits for the one before it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decision-log")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is left, as far as the sink takes it in a few seconds."""
        left = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._write_batch(left)
                await asyncio.get_running_loop().run_in_executor(self._thread, self._sink.close)
        except TimeoutError:
            log.warning("decision log is stuck; its last lines may be missing")
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def closed(self, record: Record) -> None:
        """See `steersman.router.accounting.Ledger`."""
        decision = record.decision
        if decision is not None and sampled(decision.id, self._sample_rate):
            self._enqueue(Closed(record, decision, time.time()))

    def rated(self, feedback: Feedback) -> None:
        """A caller has said how good an answer was; of a decision that is not logged nobody asks."""
        if sampled(feedback.decision.id, self._sample_rate):
            self._enqueue(Rated(feedback, time.time()))

    def _enqueue(self, entry: Closed | Rated) -> None:
        try:
            self._queue.put_nowait(entry)
        except asyncio.QueueFull:
            self._on_lines("queue_full", 1)

    async def write(self) -> None:
        """Write what comes, forever."""
        while True:
            await self._write_batch(await gathered(self._queue, _BATCH))

    async def _write_batch(self, batch: Sequence[Closed | Rated]) -> None:
        if not batch:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._put, batch)
        except OSError as error:
            self._on_lines("not_written", len(batch))
            if not self._failing:  # once, not for each batch of an outage
                log.warning("decision log cannot be written", extra={"error": error.strerror or str(error)})
            self._failing = True
        else:
            self._on_lines("written", len(batch))
            self._failing = False

    def _put(self, batch: Sequence[Closed | Rated]) -> None:
        self._sink.write([self._line(entry) for entry in batch])

    def _line(self, entry: Closed | Rated) -> bytes:
        return (
            feedback_line(entry) if isinstance(entry, Rated) else line(entry, sample_rate=self._sample_rate)
        )


def sampled(decision_id: str, rate: float) -> bool:
    """Whether a decision is in a sample: the last digits of its id are random, so that they can tell."""
    return int(decision_id[-8:], 16) < rate * 2**32


def line(closed: Closed, *, sample_rate: float) -> bytes:
    """A decision as a line of JSON."""
    return orjson.dumps(fields(closed, sample_rate=sample_rate), option=orjson.OPT_APPEND_NEWLINE)


def fields(closed: Closed, *, sample_rate: float) -> dict[str, Any]:
    """What stands in a decision's line. Fields are only ever added under one `SCHEMA`."""
    caller = closed.record.caller
    return {
        "schema": SCHEMA,
        "time": _told(closed.at),
        "id": closed.decision.id,
        "tenant": caller.tenant,
        "key": caller.key or None,
        **facts(closed.record, closed.decision),
        "sample_rate": sample_rate,
    }


def feedback_line(rated: Rated) -> bytes:
    """What a caller said of an answer, as a line of JSON that `steersman replay --labels` reads."""
    feedback = rated.feedback
    told = {
        "schema": FEEDBACK_SCHEMA,
        "time": _told(rated.at),
        "id": feedback.decision.id,
        "tenant": feedback.caller.tenant,
        "key": feedback.caller.key or None,
        "tier": feedback.decision.tier,
        "quality": feedback.quality,
    }
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def facts(record: Record, decision: Decision) -> dict[str, Any]:
    """What there is to tell of a decision, but whose it is, as JSON has it."""
    scored, usage = decision.scored, record.usage
    assessment = scored.assessment
    return {
        "policy": decision.policy.name,
        "policy_version": decision.policy.version,
        "boundaries": decision.boundaries,
        "boundaries_from": "policy" if decision.boundaries == decision.policy.boundaries else "caller",
        "wanted_tier": decision.wanted_tier,
        "tier": decision.tier,
        "reason": decision.reason.name,
        "wanted_for": record.wanted_for and record.wanted_for.name,
        "score": assessment and assessment.score,
        "win_probability": assessment and assessment.win_probability,  # NaN is written as null
        "novelty": assessment and assessment.novelty,
        "out_of_domain": decision.out_of_domain and decision.out_of_domain.value,
        "truncated": decision.truncated,
        "classifier": scored.classifier,
        "cache": scored.cache.name,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "tokens_estimated": usage.estimated,
        "usd": record.usd,
        "strongest_usd": record.strongest_usd,
        "overhead_seconds": round(record.stages.total, 6),
        "waited_seconds": round(record.waited_seconds, 6),
        "first_byte_seconds": record.first_byte_seconds and round(record.first_byte_seconds, 6),
        "retries": record.retries,
        "outcome": record.outcome,
    }


def _told(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")
