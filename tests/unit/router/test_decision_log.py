from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from fakes.line_sink import FakeLineSink
from fakes.router import a_request, router_on_fakes
from steersman.router.accounting import Ledgers, Record
from steersman.router.decision_log import FEEDBACK_SCHEMA, SCHEMA, DecisionLog, sampled
from steersman.router.decisions import Feedback
from steersman.router.ids import new_id
from steersman.router.model import Caller, Reason
from steersman.runtime.tasks import BackgroundTasks

CANARY = "a-canary-in-a-prompt"


class Logged:
    """A decision log on a fake sink, and what was told of its lines."""

    def __init__(self, *, queue: int = 100, sample_rate: float = 1.0) -> None:
        self.sink = FakeLineSink()
        self.counts: Counter[str] = Counter()
        self.log = DecisionLog(
            self.sink,
            sample_rate=sample_rate,
            queue=queue,
            on_lines=self.count,
        )
        self._news = asyncio.Event()

    def count(self, outcome: str, number: int) -> None:
        self.counts[outcome] += number
        self._news.set()

    async def until(self, outcome: str, number: int) -> None:
        while self.counts[outcome] < number:
            await asyncio.wait_for(self._news.wait(), 5)
            self._news.clear()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        async with self.log, BackgroundTasks() as tasks:
            tasks.start("decision log", self.log.write)
            yield


async def test_a_decision_becomes_a_line_of_numbers_and_known_names(record: Record) -> None:
    logged = Logged()
    record.caller, record.wanted_for = Caller("team-a", key="0a1b2c"), Reason.SCORE
    async with logged.writing():
        logged.log.closed(record)
    (line,) = logged.sink.decisions
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "schema": SCHEMA,
        "id": "0198f0c0ffee7000800000000000beef",
        "tenant": "team-a",
        "key": "0a1b2c",
        "policy": "auto",
        "policy_version": "v-of-auto",
        "boundaries": [0.75],
        "boundaries_from": "caller",
        "wanted_tier": "strong",
        "tier": "strong",
        "reason": "SCORE",
        "wanted_for": "SCORE",
        "score": 0.875,
        "win_probability": 0.625,
        "novelty": 0.25,
        "out_of_domain": None,
        "truncated": True,
        "classifier": {"name": "fake", "version": "1", "artefact_digest": "c0ffee"},
        "cache": "MISS",
        "prompt_tokens": 70,
        "completion_tokens": 30,
        "cached_tokens": 20,
        "tokens_estimated": False,
        "usd": 0.5,
        "strongest_usd": 2.0,
        "overhead_seconds": 0.015,
        "waited_seconds": 0.0,
        "first_byte_seconds": 0.25,
        "retries": 1,
        "outcome": "OK",
        "sample_rate": 1.0,
    }


async def test_what_is_not_known_is_null(unscored: Record, without_win_probability: Record) -> None:
    logged = Logged()
    async with logged.writing():
        logged.log.closed(unscored)
        logged.log.closed(without_win_probability)
    first, second = logged.sink.decisions
    assert [first[name] for name in ("score", "novelty", "win_probability")] == [None, None, None]
    assert first["reason"] == "TIER_UNAVAILABLE"
    assert second["score"] == 0.875
    assert second["win_probability"] is None


async def test_the_rule_that_decided_a_query_out_of_domain_stands_in_its_line(novel: Record) -> None:
    logged = Logged()
    async with logged.writing():
        logged.log.closed(novel)
    (line,) = logged.sink.decisions
    assert (line["reason"], line["out_of_domain"]) == ("OUT_OF_DOMAIN", "proportional")
    assert (line["score"], line["novelty"]) == (0.875, 1.0)


async def test_feedback_becomes_a_line_of_its_own(record: Record) -> None:
    logged = Logged()
    assert record.decision is not None
    async with logged.writing():
        logged.log.rated(Feedback(Caller("team-a", key="0a1b2c"), record.decision, 0.75))
    (line,) = logged.sink.decisions
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "schema": FEEDBACK_SCHEMA,
        "id": "0198f0c0ffee7000800000000000beef",
        "tenant": "team-a",
        "key": "0a1b2c",
        "tier": "strong",
        "quality": 0.75,
    }


async def test_feedback_is_logged_where_its_decision_is(record: Record) -> None:
    logged = Logged(sample_rate=0.1)
    assert record.decision is not None
    out, within = (replace(record.decision, id=f"{'0' * 24}{last}") for last in ("ffffffff", "00000000"))
    async with logged.writing():
        for decision in (out, within):
            logged.log.rated(Feedback(Caller("team-a"), decision, 1.0))
    assert [line["id"] for line in logged.sink.decisions] == [within.id]


async def test_a_request_refused_before_its_decision_leaves_no_line() -> None:
    logged = Logged()
    async with logged.writing():
        logged.log.closed(Record(outcome="ROUTER_FULL"))
    assert not logged.sink.batches


async def test_nothing_that_a_caller_wrote_is_in_a_line() -> None:
    logged, router = Logged(), await router_on_fakes()
    router.routing.ledger = Ledgers((router.ledger, logged.log))
    async with logged.writing():
        await router.decided(a_request(CANARY, threshold=0.25, user=CANARY, metadata={"a": CANARY}))
        await router.streamed(a_request(CANARY, model="strong", stream=True))
    assert len(router.ledger.records) == len(logged.sink.lines) == 2
    assert not [line for line in logged.sink.lines if CANARY.encode() in line]
    assert logged.sink.decisions[0]["boundaries_from"] == "caller"
    assert logged.sink.decisions[0]["tenant"] == "default"


async def test_leaving_writes_what_is_left_and_closes_the_sink(record: Record) -> None:
    logged = Logged()
    async with logged.log:
        for _ in range(20):
            logged.log.closed(record)
    assert logged.counts == {"written": 20}
    assert logged.sink.closed


async def test_a_full_queue_drops_and_counts_and_holds_nobody_up(record: Record) -> None:
    logged = Logged(queue=3)
    async with logged.log:
        for _ in range(10):
            logged.log.closed(record)
    assert logged.counts == {"queue_full": 7, "written": 3}


async def test_a_slow_sink_does_not_keep_the_event_loop(record: Record) -> None:
    logged = Logged()
    logged.sink.free.clear()
    async with logged.writing():
        logged.log.closed(record)
        while not logged.sink.batches:  # noqa: ASYNC110 - the sink is in a thread, and this is the loop that must go on
            await asyncio.sleep(0)
        assert not logged.counts
        logged.sink.free.set()
        await logged.until("written", 1)


async def test_a_full_disk_is_counted_by_the_line_and_told_once(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    logged = Logged()
    logged.sink.full = True
    with caplog.at_level(logging.WARNING):
        async with logged.writing():
            for n in range(1, 4):
                logged.log.closed(record)
                await logged.until("not_written", n)
            logged.sink.full = False
            logged.log.closed(record)
            await logged.until("written", 1)
    assert [message.getMessage() for message in caplog.records] == ["decision log cannot be written"]
    assert logged.counts == {"not_written": 3, "written": 1}


@given(st.floats(0.01, 0.99))
def test_a_sample_holds_its_part_of_the_decisions(rate: float) -> None:
    number = 4000
    held = sum(sampled(new_id(), rate) for _ in range(number)) / number
    assert abs(held - rate) < 6 * (rate * (1 - rate) / number) ** 0.5


def test_a_larger_sample_holds_the_smaller_one() -> None:
    ids = [new_id() for _ in range(500)]
    assert {each for each in ids if sampled(each, 0.2)} <= {each for each in ids if sampled(each, 0.4)}
    assert all(sampled(each, 1.0) for each in ids)


async def test_the_part_that_is_logged_stands_in_the_line(record: Record) -> None:
    logged = Logged(sample_rate=0.5)
    assert record.decision is not None
    async with logged.writing():
        logged.log.closed(record)  # its id ends in 0000beef
    assert logged.sink.decisions[0]["sample_rate"] == 0.5
