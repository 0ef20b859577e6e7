from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from fakes.dispatching import PATIENT, SHORT, TIER, dispatching, one_bad
from fakes.upstream import DOWN, FULL, NO, FakeUpstream, hello
from steersman.router.dispatch import Answer, Pieces
from steersman.router.ports import Upstream
from steersman.router.retry import RetryBudget
from steersman.runtime.breaker import State
from steersman.runtime.errors import (
    BrokenOff,
    DeadlineExceeded,
    Error,
    InvalidRequest,
    Overloaded,
    Unavailable,
)


async def anext_after(answer: Answer[Pieces], pieces: int) -> Sequence[bytes]:
    for _ in range(pieces):
        await anext(answer.content)
    return await anext(answer.content)


async def test_an_answer_is_handed_on_as_it_comes() -> None:
    tier = await dispatching()
    assert await tier.all_of() == hello()


async def test_an_answer_that_is_not_streamed_is_one_piece() -> None:
    tier = await dispatching()
    assert await tier.all_of(stream=False) == [[tier.upstreams[0].whole]]


async def test_the_upstream_gets_the_engines_name_of_the_model_and_the_time_that_is_left() -> None:
    tier = await dispatching()
    await tier.all_of()
    (seen,) = tier.upstreams[0].seen
    assert seen.body == b'{"model":"weak-model"}'
    assert 55.0 < seen.timeout <= 60.0


async def test_an_answer_says_which_tier_it_is_of_and_how_often_it_was_tried() -> None:
    tier = await dispatching()
    answer = await tier.send()
    assert (answer.tier, answer.retries) == (TIER, 0)
    await answer.content.aclose()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("error", [DOWN, FULL], ids=["unavailable", "overloaded"])
async def test_what_fails_before_the_first_byte_is_tried_on_another_address(
    error: Error, *, stream: bool
) -> None:
    tier = await one_bad(error)
    answer = await tier.send(stream=stream)
    assert [piece async for piece in answer.content] == (hello() if stream else [[tier.upstreams[1].whole]])
    assert (answer.retries, tier.seen) == (1, [1, 1])
    assert tier.retried == [("weak", error.reason)]


async def test_no_address_is_tried_twice() -> None:
    tier = await dispatching(2)
    for upstream in tier.upstreams:
        upstream.error = DOWN
    with pytest.raises(Unavailable):
        await tier.send()
    assert tier.seen == [1, 1]


async def test_the_last_error_is_the_one_that_is_told() -> None:
    tier = await one_bad(DOWN)
    tier.upstreams[1].error = FULL
    with pytest.raises(Overloaded) as told:
        await tier.send()
    assert told.value.retry_after_seconds == 4.0


async def test_there_are_no_more_attempts_than_allowed() -> None:
    tier = await dispatching(5)
    for upstream in tier.upstreams:
        upstream.error = DOWN
    with pytest.raises(Unavailable):
        await tier.send()
    assert sum(tier.seen) == PATIENT.attempts
    assert len(tier.retried) == PATIENT.attempts - 1


async def test_a_retry_that_the_budget_does_not_hold_is_not_made() -> None:
    tier = await one_bad(DOWN)
    tier.dispatcher.budget = RetryBudget(ratio=0.0, per_second=0.0, clock=tier.clock)
    with pytest.raises(Unavailable) as told:
        await tier.send()
    assert told.value is DOWN
    assert tier.seen == [1, 0]
    assert tier.retried == []


@pytest.mark.parametrize("error", [NO, InvalidRequest("messages", "no")], ids=["refused", "invalid"])
async def test_a_request_that_the_engine_refuses_is_not_tried_elsewhere(error: Error) -> None:
    tier = await one_bad(error)
    with pytest.raises(type(error)) as told:
        await tier.send()
    assert told.value is error
    assert tier.seen == [1, 0]
    assert all(member.breaker.state is State.CLOSED for member in tier.members)


async def test_a_retry_goes_to_an_address_that_has_come_meanwhile() -> None:
    tier = await one_bad(DOWN, count=1)
    fleet = tier.dispatcher.fleets[TIER.name]
    newcomer = FakeUpstream("new:1")

    async def connect(_: str) -> Upstream:
        return newcomer

    fleet.connect = connect
    fleet.source.found = ["new:1"]  # type: ignore[attr-defined]  # it is a fake
    tier.upstreams[0].hold_at = 0
    sending = asyncio.create_task(tier.all_of())
    await tier.upstreams[0].gate.until(waiting=1)
    await fleet.refresh()
    tier.upstreams[0].gate.open()
    assert await sending == hello()
    assert len(newcomer.seen) == 1


async def test_a_retry_that_could_go_nowhere_is_not_counted_and_does_not_hide_the_error() -> None:
    tier = await one_bad(FULL)
    for _ in range(2):
        tier.members[1].breaker.failure()
    with pytest.raises(Overloaded):
        await tier.send()
    assert tier.retried == []


@pytest.mark.parametrize("error", [DOWN, FULL, BrokenOff("it died")], ids=["down", "full", "broken off"])
@pytest.mark.parametrize("after_pieces", [1, 3])
async def test_after_the_first_byte_nothing_is_tried_again(error: Error, after_pieces: int) -> None:
    tier = await one_bad(error)
    tier.upstreams[0].error_at = after_pieces
    answer = await tier.send()
    assert [await anext(answer.content) for _ in range(after_pieces)] == hello()[:after_pieces]
    with pytest.raises(BrokenOff) as told:
        await anext(answer.content)
    assert told.value.reason == error.reason
    assert tier.seen == [1, 0]


async def test_an_upstream_that_does_not_begin_in_time_is_given_up_for_another() -> None:
    tier = await one_bad(DOWN)
    tier.be(first_byte=SHORT)
    tier.upstreams[0].hold_at = 0
    assert await tier.all_of() == hello()
    assert tier.retried == [("weak", "FIRST_BYTE_TIMEOUT")]
    assert (tier.upstreams[0].left, tier.upstreams[0].running) == (1, 0)


async def test_an_answer_that_is_not_streamed_has_a_patience_of_its_own() -> None:
    tier = await one_bad(DOWN)
    tier.be(first_byte=SHORT / 10, whole=SHORT)
    tier.upstreams[0].hold_at = 0
    assert await tier.all_of(stream=False) == [[tier.upstreams[1].whole]]
    assert tier.retried == [("weak", "FIRST_BYTE_TIMEOUT")]


async def test_a_stream_that_stalls_is_broken_off_and_the_engine_let_go() -> None:
    tier = await dispatching()
    tier.be(idle=SHORT)
    tier.upstreams[0].hold_at = 2
    with pytest.raises(BrokenOff) as told:
        await tier.all_of()
    assert told.value.reason == "ENGINE_STALLED"
    assert (tier.upstreams[0].left, tier.upstreams[0].running) == (1, 0)


async def test_a_stream_may_take_longer_than_its_first_byte() -> None:
    tier = await dispatching()
    tier.be(first_byte=SHORT)
    tier.upstreams[0].hold_at = 2
    answer = await tier.send()
    reading = asyncio.create_task(anext_after(answer, 2))
    await tier.upstreams[0].gate.until(waiting=1)
    await asyncio.sleep(2 * SHORT)
    tier.upstreams[0].gate.open()
    assert await reading == hello()[2]
    await answer.content.aclose()


@pytest.mark.parametrize("hold_at", [0, 2])
async def test_the_deadline_ends_the_answer_wherever_it_is(hold_at: int) -> None:
    tier = await dispatching(2)
    for upstream in tier.upstreams:
        upstream.hold_at = hold_at
    with pytest.raises(DeadlineExceeded):
        [piece async for piece in (await tier.send(seconds=SHORT)).content]
    assert sum(tier.seen) == 1
    assert all(upstream.running == 0 for upstream in tier.upstreams)
    assert all(member.breaker.state is State.CLOSED for member in tier.members)


async def test_no_retry_is_made_when_the_time_is_up() -> None:
    tier = await one_bad(DOWN)
    with pytest.raises(Unavailable):
        await tier.send(seconds=0.0)
    assert tier.seen == [1, 0]


@pytest.mark.parametrize("pieces", [0, 1, 2])
async def test_closing_the_answer_ends_the_work_upstream(pieces: int) -> None:
    tier = await dispatching()
    answer = await tier.send()
    for _ in range(pieces):
        await anext(answer.content)
    assert tier.upstreams[0].running == 1
    await answer.content.aclose()
    assert (tier.upstreams[0].running, tier.upstreams[0].left) == (0, 1)
    assert tier.members[0].in_flight == 0


async def test_a_caller_who_leaves_before_the_first_byte_ends_the_work_upstream() -> None:
    tier = await dispatching(2)
    for upstream in tier.upstreams:
        upstream.hold_at = 0
    sending = asyncio.create_task(tier.send())
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert sum(tier.seen) == 1
    assert all(upstream.running == 0 for upstream in tier.upstreams)
    assert all(member.in_flight == 0 and member.breaker.ready for member in tier.members)


async def test_a_member_is_busy_until_its_answer_has_ended() -> None:
    tier = await dispatching()
    answer = await tier.send()
    async with aclosing(answer.content):
        async for _ in answer.content:
            assert tier.members[0].in_flight == 1
    assert tier.members[0].in_flight == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_anything_in_it_is_tried_elsewhere(*, stream: bool) -> None:
    tier = await one_bad(DOWN)
    tier.upstreams[0].error = None
    tier.upstreams[0].pieces, tier.upstreams[0].whole = [], b""
    assert await tier.all_of(stream=stream) == (hello() if stream else [[tier.upstreams[1].whole]])
    assert tier.retried == [("weak", "ENGINE_GARBAGE")]


async def test_a_tier_that_the_catalogue_has_dropped_is_unavailable() -> None:
    tier = await dispatching()
    tier.dispatcher.fleets = {}
    with pytest.raises(Unavailable) as told:
        await tier.send()
    assert told.value.reason == "TIER_UNAVAILABLE"


async def test_a_bug_in_an_upstream_is_not_taken_for_an_outage() -> None:
    tier = await dispatching()
    tier.upstreams[0].error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await tier.send()
    assert tier.members[0].in_flight == 0
    assert tier.members[0].breaker.state is State.CLOSED
