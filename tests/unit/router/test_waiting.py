"""The waiting room by itself: bounds, order, turns, and that nothing is left over, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given, strategies as st

from steersman.router import waiting
from steersman.router.waiting import Bounds, Outcome, WaitingRoom
from steersman.runtime.errors import Error, Unavailable

TIER: Final = "strong"
LONG: Final = 60.0


@dataclass
class Crowd:
    """Requests before a room, each a task that holds its turn until it is told to go."""

    bounds: Bounds = field(default_factory=Bounds)
    ended: list[tuple[str, Outcome]] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    """The numbers of the requests that had their turn, in that order."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    go: dict[int, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.room = WaitingRoom(self.bounds, on_end=lambda tier, how, _: self.ended.append((tier, how)))

    async def comes(self, *, tier: str = TIER, size: int = 1, seconds: float = LONG) -> asyncio.Task[None]:
        """One more request."""
        number = len(self.tasks)
        self.go[number] = asyncio.Event()
        task = asyncio.create_task(self._wait(number, tier, size, seconds))
        self.tasks.append(task)
        await settled()
        return task

    async def leaves(self) -> None:
        """Everybody who is still there leaves."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def outcomes(self) -> list[Outcome]:
        return [how for _, how in self.ended]

    async def _wait(self, number: int, tier: str, size: int, seconds: float) -> None:
        with self.room.place(tier, size=size, seconds=seconds) as place:
            await place.turn()
            self.turns.append(number)
            await self.go[number].wait()


async def settled() -> None:
    """Let everything happen that needs nothing but its turn of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


async def failed(task: Awaitable[None]) -> Error:
    with pytest.raises(Error) as told:
        await asyncio.wait_for(task, 5.0)
    return told.value


async def test_a_request_waits_until_the_tier_has_an_address() -> None:
    crowd = Crowd()
    task = await crowd.comes(size=7)
    assert (crowd.room.requests, crowd.room.size, crowd.turns) == (1, 7, [])
    assert crowd.room.awaits(TIER)
    crowd.room.found(TIER, 1)
    await settled()
    assert crowd.turns == [0]
    assert not crowd.room.awaits(TIER)
    crowd.go[0].set()
    await task
    assert (crowd.room.requests, crowd.room.size) == (0, 0)
    assert crowd.ended == [(TIER, Outcome.WOKEN)]


async def test_a_tier_that_is_awake_is_not_waited_for() -> None:
    crowd = Crowd()
    crowd.room.found(TIER, 1)
    await crowd.comes()
    assert crowd.turns == [0]
    await crowd.leaves()


async def test_a_tier_that_went_to_sleep_again_is_waited_for() -> None:
    crowd = Crowd()
    crowd.room.found(TIER, 1)
    crowd.room.found(TIER, 0)
    await crowd.comes()
    assert crowd.turns == []
    await crowd.leaves()


async def test_one_tier_that_wakes_wakes_nobody_who_waits_for_another() -> None:
    crowd = Crowd()
    await crowd.comes(tier="other")
    await crowd.comes()
    crowd.room.found(TIER, 1)
    await settled()
    assert crowd.turns == [1]
    await crowd.leaves()


async def test_who_came_first_goes_first_and_only_so_many_at_once() -> None:
    crowd = Crowd(Bounds(at_once=2))
    tasks = [await crowd.comes() for _ in range(7)]
    crowd.room.found(TIER, 1)
    await settled()
    assert crowd.turns == [0, 1]
    crowd.go[1].set()
    await settled()
    assert crowd.turns == [0, 1, 2]
    crowd.room.found(TIER, 2)
    await settled()
    assert crowd.turns == [0, 1, 2, 3, 4]
    for go in crowd.go.values():
        go.set()
    await asyncio.gather(*tasks)
    assert crowd.turns == list(range(7))


async def test_the_room_holds_so_many_requests_and_no_more() -> None:
    crowd = Crowd(Bounds(requests=2))
    for _ in range(2):
        await crowd.comes()
    error = await failed(await crowd.comes())
    assert isinstance(error, Unavailable)
    assert (error.reason, crowd.outcomes) == ("WAITING_ROOM_FULL", [Outcome.FULL])
    assert error.retry_after_seconds is not None
    assert crowd.room.requests == 2
    await crowd.leaves()


@pytest.mark.parametrize(("sizes", "fits"), [((60, 40), True), ((60, 41), False), ((101,), False)])
async def test_the_room_holds_so_many_bytes_and_no_more(sizes: tuple[int, ...], *, fits: bool) -> None:
    crowd = Crowd(Bounds(size=100))
    for size in sizes:
        await crowd.comes(size=size)
    assert (Outcome.FULL in crowd.outcomes) is not fits
    await crowd.leaves()
    assert crowd.room.size == 0


async def test_the_bounds_are_those_of_all_tiers_together() -> None:
    crowd = Crowd(Bounds(requests=1))
    await crowd.comes(tier="other")
    assert (await failed(await crowd.comes())).reason == "WAITING_ROOM_FULL"
    await crowd.leaves()


async def test_a_caller_who_leaves_gives_the_place_up_at_once() -> None:
    crowd = Crowd(Bounds(requests=1, at_once=1))
    leaving = await crowd.comes()
    leaving.cancel()
    await settled()
    assert (crowd.room.requests, crowd.outcomes) == (0, [Outcome.LEFT])
    await crowd.comes()
    crowd.room.found(TIER, 1)
    await settled()
    assert crowd.turns == [1]
    await crowd.leaves()


async def test_a_caller_who_leaves_in_the_very_moment_of_the_call_passes_the_turn_on() -> None:
    crowd = Crowd(Bounds(at_once=1))
    leaving = await crowd.comes()
    await crowd.comes()
    crowd.room.found(TIER, 1)
    leaving.cancel()
    await settled()
    assert crowd.turns == [1]
    await crowd.leaves()


@pytest.mark.parametrize(("longest", "seconds"), [(0.01, LONG), (LONG, 0.01), (LONG, 0.0)])
async def test_a_wait_ends_with_the_time_there_is_for_it(longest: float, seconds: float) -> None:
    crowd = Crowd(Bounds(seconds=longest))
    error = await failed(await crowd.comes(seconds=seconds))
    assert isinstance(error, Unavailable)
    assert (error.reason, crowd.outcomes) == ("TIER_COLD", [Outcome.RAN_OUT])
    assert error.retry_after_seconds is not None
    assert crowd.room.requests == 0


async def test_a_room_that_closes_sends_everybody_away_and_lets_nobody_in() -> None:
    crowd = Crowd()
    task = await crowd.comes()
    crowd.room.close()
    assert isinstance(await failed(task), Unavailable)
    assert isinstance(await failed(await crowd.comes()), Unavailable)
    assert crowd.room.requests == 0


async def test_who_was_not_taken_keeps_the_turn_for_a_moment_and_is_then_first_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.01)
    crowd = Crowd(Bounds(at_once=1))
    crowd.room.found(TIER, 1)
    with crowd.room.place(TIER, size=1, seconds=LONG) as place:
        await place.turn()
        await crowd.comes()
        await place.pause(Unavailable("not yet"))
        await place.turn()
        assert crowd.turns == []
    await settled()
    assert crowd.turns == [0]
    await crowd.leaves()


async def test_who_has_no_time_to_try_again_is_told_what_the_tier_said() -> None:
    crowd = Crowd()
    crowd.room.found(TIER, 1)
    said = Unavailable("not yet")

    async def tries() -> None:
        with crowd.room.place(TIER, size=1, seconds=0.1) as place:
            await place.turn()
            await place.pause(said)

    assert await failed(tries()) is said
    assert crowd.outcomes == [Outcome.RAN_OUT]


Step = Callable[[Crowd], Awaitable[object]]


def _leaving(which: int) -> Step:
    async def step(crowd: Crowd) -> None:
        if crowd.tasks:
            crowd.tasks[which % len(crowd.tasks)].cancel()

    return step


def _going(which: int) -> Step:
    async def step(crowd: Crowd) -> None:
        if crowd.go:
            crowd.go[which % len(crowd.go)].set()

    return step


def _found(addresses: int) -> Step:
    async def step(crowd: Crowd) -> None:
        crowd.room.found(TIER, addresses)

    return step


steps = st.lists(
    st.one_of(
        st.integers(0, 8).map(lambda size: lambda crowd: crowd.comes(size=size)),
        st.integers(0, 30).map(_leaving),
        st.integers(0, 30).map(_going),
        st.integers(0, 2).map(_found),
    ),
    max_size=40,
)


@given(steps=steps, settle=st.lists(st.booleans(), min_size=40, max_size=40))
def test_whatever_happens_bounds_and_order_hold_and_nothing_is_left_over(
    steps: list[Step], settle: list[bool]
) -> None:
    async def history() -> None:
        crowd = Crowd(Bounds(requests=4, size=20, at_once=1))
        for step, settles in zip(steps, settle, strict=False):
            await step(crowd)
            if settles:
                await settled()
            assert 0 <= crowd.room.requests <= 4
            assert 0 <= crowd.room.size <= 20
        await settled()
        assert crowd.turns == sorted(crowd.turns), "who came first goes first"
        await crowd.leaves()
        assert (crowd.room.requests, crowd.room.size) == (0, 0)
        assert not crowd.room.awaits(TIER)
        assert len(crowd.ended) == len(crowd.tasks)
        crowd.room.found(TIER, 1)
        last = await crowd.comes()
        assert crowd.turns[-1] == len(crowd.tasks) - 1, "no turn was lost"
        with suppress(asyncio.CancelledError):
            last.cancel()
            await last

    asyncio.run(history())
