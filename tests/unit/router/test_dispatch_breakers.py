from __future__ import annotations

import asyncio

import pytest

from fakes.dispatching import SHORT, dispatching
from fakes.upstream import DOWN, FULL, NO, hello
from steersman.runtime.breaker import State
from steersman.runtime.errors import (
    Error,
    Unavailable,
)


async def test_answers_without_anything_in_them_open_the_breaker() -> None:
    tier = await dispatching()
    tier.upstreams[0].pieces = []
    for _ in range(2):
        with pytest.raises(Unavailable):
            await tier.send()
    assert tier.members[0].breaker.state is State.OPEN


@pytest.mark.parametrize("stream", [True, False])
async def test_failures_in_a_row_open_the_breaker_of_an_address(*, stream: bool) -> None:
    tier = await dispatching()
    tier.upstreams[0].error = DOWN
    for _ in range(2):
        with pytest.raises(Unavailable):
            await tier.send(stream=stream)
    assert tier.members[0].breaker.state is State.OPEN
    with pytest.raises(Unavailable) as told:
        await tier.send(stream=stream)
    assert told.value.reason == "TIER_UNAVAILABLE"
    assert tier.seen == [2]


@pytest.mark.parametrize("error", [FULL, NO], ids=["overloaded", "refused"])
async def test_an_engine_that_says_no_is_alive(error: Error) -> None:
    tier = await dispatching()
    tier.upstreams[0].error = error
    for _ in range(5):
        with pytest.raises(type(error)):
            await tier.send()
    assert tier.members[0].breaker.state is State.CLOSED


async def test_timeouts_open_the_breaker_too() -> None:
    tier = await dispatching()
    tier.be(first_byte=SHORT / 10)
    for _ in range(2):
        tier.upstreams[0].hold_at = 0
        with pytest.raises(Unavailable):
            await tier.send()
    assert tier.members[0].breaker.state is State.OPEN


async def test_an_address_that_has_cooled_down_is_tried_again_and_taken_back() -> None:
    tier = await dispatching()
    tier.upstreams[0].error = DOWN
    for _ in range(2):
        with pytest.raises(Unavailable):
            await tier.send()
    tier.clock.advance(10.0)
    tier.upstreams[0].error = None
    assert await tier.all_of() == hello()
    assert tier.members[0].breaker.state is State.CLOSED


async def test_a_probe_that_fails_opens_the_breaker_again() -> None:
    tier = await dispatching()
    tier.upstreams[0].error = DOWN
    for wait in (0.0, 0.0, 10.0):
        tier.clock.advance(wait)
        with pytest.raises(Unavailable):
            await tier.send()
    assert tier.members[0].breaker.state is State.OPEN


async def test_a_probe_whose_caller_leaves_makes_room_for_the_next() -> None:
    tier = await dispatching()
    tier.upstreams[0].error = DOWN
    for _ in range(2):
        with pytest.raises(Unavailable):
            await tier.send()
    tier.clock.advance(10.0)
    tier.upstreams[0].error, tier.upstreams[0].hold_at = None, 0
    probing = asyncio.create_task(tier.send())
    await tier.upstreams[0].gate.until(waiting=1)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    tier.upstreams[0].gate.open()
    assert await tier.all_of() == hello()
