"""Which part of what comes is let in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from steersman.router.shedding import Shedder
from steersman.router.strain import TICK_SECONDS, Tick

QUIET = Tick(wall=TICK_SECONDS, worked=0.01)
LONG = Tick(wall=0.2, worked=0.2)
ASKED = 400
FEW = 2


def let_in(shedder: Shedder, asked: int = ASKED) -> int:
    return sum(shedder.lets_in() for _ in range(asked))


def strained(ticks: int = 1) -> Shedder:
    """One for which requests have made so many turns long."""
    shedder = Shedder()
    for _ in range(ticks):
        let_in(shedder)
        shedder.tick(LONG)
    let_in(shedder)
    return shedder


def overloaded(offered: float, capacity: float, seconds: float) -> Iterator[tuple[float, float]]:
    """How much was answered, and how long each turn was, of a loop that is asked for more than it can do.

    Args:
        offered: Requests a second.
        capacity: What it can do, a second.
        seconds: How long.
    """
    shedder, piled, now = Shedder(), 0.0, 0.0
    while now < seconds:
        wall = max(TICK_SECONDS, piled / capacity)
        shedder.tick(Tick(wall=wall, worked=piled / capacity))
        yield piled, wall
        piled = float(let_in(shedder, round(offered * wall)))
        now += wall


def test_all_is_let_in_as_long_as_the_loop_keeps_up() -> None:
    shedder = Shedder()
    for _ in range(100):
        shedder.tick(QUIET)
    assert let_in(shedder) == ASKED


def test_one_long_turn_is_no_overload() -> None:
    shedder = Shedder()
    for tick in (LONG, QUIET, LONG, QUIET):
        shedder.tick(tick)
    assert let_in(shedder) == ASKED


def test_turns_that_a_neighbour_made_long_are_no_overload() -> None:
    shedder = Shedder()
    for _ in range(20):
        shedder.tick(Tick(wall=0.5, worked=0.03))
    assert let_in(shedder) == ASKED


def test_turns_that_stay_long_let_in_ever_less_but_never_nothing() -> None:
    shedder = strained()
    seen = []
    for _ in range(12):
        shedder.tick(LONG)
        seen.append(let_in(shedder))
    assert seen[0] == pytest.approx(ASKED / 2, abs=1)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == pytest.approx(ASKED / 100, abs=1)


def test_of_a_crowd_as_many_are_let_in_as_are_soon_done_and_more_after_the_next_look() -> None:
    shedder = Shedder()
    assert (let_in(shedder, 2000), let_in(shedder, 1)) == (512, 0)
    shedder.tick(QUIET)
    assert let_in(shedder, 1) == 1


def test_afterwards_more_is_let_in_again_until_all_is() -> None:
    shedder = strained(3)
    seen = []
    for _ in range(100):
        shedder.tick(QUIET)
        seen.append(let_in(shedder))
    assert all(later >= earlier - 1 for earlier, later in pairwise(seen))  # evenly, up to one
    assert seen[-1] == ASKED


def test_what_is_let_in_comes_evenly() -> None:
    shedder = Shedder(part=0.25)
    first = [shedder.lets_in() for _ in range(FEW)]
    assert all(first)
    assert [shedder.lets_in() for _ in range(8)] == [False, False, False, True] * 2


def test_work_that_no_request_has_brought_is_no_overload() -> None:
    shedder = Shedder()
    for _ in range(20):
        shedder.tick(LONG)
    assert let_in(shedder) == ASKED


def test_who_sends_little_is_let_in_whatever_there_is_to_do() -> None:
    shedder = strained(20)
    for _ in range(10):
        shedder.tick(LONG)
        assert let_in(shedder, FEW) == FEW


@pytest.mark.parametrize("times", [1.5, 3.0, 10.0])
def test_too_much_leaves_the_loop_its_work_and_short_turns(times: float) -> None:
    seconds, capacity = 20.0, 2000.0
    turns = list(overloaded(times * capacity, capacity, seconds))
    assert sum(answered for answered, _ in turns) > 0.7 * capacity * seconds
    assert sorted(wall for _, wall in turns)[len(turns) // 2] < 0.1
