"""When an attempt that has not begun is given up early, and when it is better kept."""

from __future__ import annotations

import asyncio

import pytest

from fakes.clock import FakeClock
from fakes.dispatching import SHORT, TIER, Dispatching, dispatching
from fakes.router import a_request, router_on_fakes
from fakes.upstream import FakeUpstream, hello
from steersman.router.fleet import STALE_SECONDS
from steersman.router.ports import Load
from steersman.router.prospects import Patience
from steersman.router.retry import RetryBudget
from steersman.runtime.errors import DeadlineExceeded, Error, Overloaded, Unavailable

LOAD = Load(waiting=0, running=1, slots=4)


async def one_hangs(count: int = 2) -> Dispatching:
    """A tier whose first address, asked first, does not begin; half of the caller's time is over soon."""
    tier = await dispatching(count)
    tier.be(part=0.0, earliest=SHORT)
    tier.upstreams[0].hold_at = 0
    for member in tier.members[1:]:
        member.in_flight += 1
    return tier


def fall_silent(tier: Dispatching) -> None:
    """The first address says no more how busy it is, and the others do."""
    fleet = tier.dispatcher.fleets[TIER.name]
    for member in tier.members:
        fleet.heard(member, LOAD)
    tier.members[0].missed = 3
    fleet.tell_silence()


async def test_half_of_the_callers_time_is_left_for_another_address() -> None:
    tier = await one_hangs()
    tier.be(earliest=0.0)
    answer = await tier.send(seconds=10 * SHORT)
    assert [piece async for piece in answer.content] == hello()
    assert (answer.retries, tier.retried) == (1, [("weak", "FIRST_BYTE_TIMEOUT")])
    assert (tier.upstreams[0].left, tier.upstreams[0].running) == (1, 0)


async def kept(tier: Dispatching, *, stream: bool = True) -> None:
    """See that the first attempt is waited for, well beyond when it could be given up, and no other one made."""
    sending = asyncio.create_task(tier.all_of(stream=stream))
    await tier.upstreams[0].gate.until(waiting=1)
    await asyncio.sleep(5 * SHORT)
    tier.upstreams[0].gate.open()
    assert await sending == (hello() if stream else [[tier.upstreams[0].whole]])
    assert sum(tier.seen) == 1


async def test_a_slow_answer_is_kept_where_there_is_no_other_address() -> None:
    await kept(await one_hangs(1))


async def test_a_slow_answer_is_kept_where_its_address_says_how_busy_it_is() -> None:
    tier = await one_hangs()
    for member in tier.members:
        tier.dispatcher.fleets[TIER.name].heard(member, LOAD)
    await kept(tier)


async def test_a_slow_answer_is_not_kept_for_what_its_address_said_long_ago() -> None:
    tier = await one_hangs()
    for member in tier.members:
        tier.dispatcher.fleets[TIER.name].heard(member, LOAD)
    tier.clock.advance(STALE_SECONDS)
    assert (await tier.send(seconds=10 * SHORT)).retries == 1


async def test_a_slow_answer_is_kept_where_no_other_address_can_be_expected_to_answer() -> None:
    tier = await one_hangs()
    for _ in range(2):
        tier.members[1].breaker.failure()
    await kept(tier)


async def test_a_slow_answer_is_kept_where_the_budget_pays_for_no_other_attempt() -> None:
    tier = await one_hangs()
    tier.dispatcher.budget = RetryBudget(ratio=0.0, per_second=0.0, clock=tier.clock)
    await kept(tier)


async def test_a_slow_answer_is_kept_after_as_many_attempts_as_are_allowed() -> None:
    tier = await one_hangs()
    tier.be(part=0.0, earliest=SHORT, attempts=1)
    await kept(tier)


async def test_an_answer_that_is_not_streamed_is_not_given_up_for_being_late() -> None:
    await kept(await one_hangs(), stream=False)


async def test_a_stream_is_given_up_for_another_tier_that_can_answer() -> None:
    tier = await one_hangs(1)
    other = await dispatching()
    tier.dispatcher.fleets = {**tier.dispatcher.fleets, "strong": other.dispatcher.fleets[TIER.name]}
    with pytest.raises(Unavailable) as told:
        await tier.send(instead=["strong"])
    assert told.value.reason == "FIRST_BYTE_TIMEOUT"


async def test_a_stream_is_kept_where_the_other_tier_has_no_address() -> None:
    tier = await one_hangs(1)
    with pytest.raises(DeadlineExceeded):
        await tier.send(instead=["strong"], seconds=5 * SHORT)


@pytest.mark.parametrize("stream", [True, False])
async def test_what_waits_for_an_address_that_falls_silent_goes_to_another(*, stream: bool) -> None:
    tier = await one_hangs()
    tier.be()
    sending = asyncio.create_task(tier.send(stream=stream))
    await tier.upstreams[0].gate.until(waiting=1)
    fall_silent(tier)
    answer = await sending
    assert [piece async for piece in answer.content] == (hello() if stream else [[tier.upstreams[1].whole]])
    assert tier.retried == [("weak", "FIRST_BYTE_TIMEOUT")]


async def test_an_address_that_is_silent_is_asked_by_nobody_while_there_is_another() -> None:
    tier = await one_hangs()
    fall_silent(tier)
    assert await tier.all_of() == hello()
    assert tier.seen == [0, 1]


async def test_an_answer_that_has_begun_is_kept_when_its_address_falls_silent() -> None:
    tier = await one_hangs()
    tier.upstreams[0].hold_at = None
    answer = await tier.send()
    fall_silent(tier)
    assert [piece async for piece in answer.content] == hello()


async def test_a_crowd_at_an_address_that_hangs_leaves_it_as_fast_as_the_budget_pays() -> None:
    tier = await one_hangs()
    tier.be()
    tier.dispatcher.budget = RetryBudget(ratio=0.0, per_second=3.0, clock=tier.clock)
    tier.upstreams[0].gate.close()
    tier.upstreams[0].hold_at = None
    sending = []
    for waiting in range(1, 6):
        tier.upstreams[0].hold_at = 0
        tier.members[0].in_flight = 0
        sending.append(asyncio.create_task(tier.all_of()))
        await tier.upstreams[0].gate.until(waiting=waiting)
    fall_silent(tier)
    fall_silent(tier)
    done, waiting_still = await asyncio.wait(sending, timeout=10 * SHORT)
    assert (len(done), len(waiting_still)) == (3, 2)
    tier.clock.advance(1.0)
    fall_silent(tier)
    assert [await each for each in sending] == [hello()] * 5


@pytest.mark.slow
@pytest.mark.parametrize("slow", [True, False], ids=["too slow", "full"])
async def test_in_a_brown_out_of_everything_there_are_hardly_more_attempts_than_requests(
    *, slow: bool
) -> None:
    requests, ratio = 100, 0.2
    router = await router_on_fakes(addresses=3, patience=Patience(first_byte=SHORT, part=0.0, earliest=0.001))
    router.easy()
    router.dispatcher.budget = RetryBudget(ratio=ratio, per_second=0.0, clock=router.clock)
    past = FakeClock()
    router.dispatcher.refusals.clock = past
    for _ in range(requests):
        for upstream in (each for tier in router.upstreams.values() for each in tier):
            upstream.hold_at = 0 if slow else None
            upstream.error = None if slow else Overloaded("no room", reason="QUEUE_FULL")
        for member in (each for fleet in router.dispatcher.fleets.values() for each in fleet.members):
            member.breaker.success()  # it is the budget that is to hold, not the breakers
        past.advance(1.0)
        with pytest.raises(Error):
            await router.streamed(a_request())
    assert requests < seen_by(router.upstreams["weak"]) <= requests * (1 + ratio)
    assert seen_by(router.upstreams["strong"]) <= requests


def seen_by(upstreams: list[FakeUpstream]) -> int:
    """Attempts that have come to them."""
    return sum(len(upstream.seen) for upstream in upstreams)
