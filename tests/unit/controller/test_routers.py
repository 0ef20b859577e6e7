"""What is known of routers, and what they decided lately, with a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from steersman.controller.model import Report
from steersman.controller.routers import Routers, Rules
from unit.controller.examples import UID, held, holds

RULES = Rules(hold=30.0, window=300.0)


@dataclass
class World:
    """Routers, and what happens to them. A router has its address's name until it restarts."""

    clock: FakeClock = field(default_factory=FakeClock)
    routers: Routers = field(init=False)

    def __post_init__(self) -> None:
        self.routers = Routers(RULES, clock=self.clock)

    def hear(self, address: str, report: Report | None = None, *, weak: int = 0, strong: int = 0) -> None:
        self.routers.heard(address, report or holds(address, held(weak=weak, strong=strong)))

    def strong_share(self) -> float | None:
        """Of all decisions lately; None where it is not known, NaN where there were none."""
        shares = self.routers.shares(UID, held())
        if shares is None:
            return None
        return shares[-1].wanted if shares else float("nan")

    def pass_by(self, seconds: float) -> None:
        """Let time go by, with each router asked every 5 s and deciding nothing."""
        reports = {each.replica: each for each in self.routers.view().heard}
        for _ in range(round(seconds / 5)):
            self.clock.advance(5)
            for replica, report in reports.items():
                self.hear(replica, report)


@pytest.fixture
def world() -> World:
    world = World()
    world.routers.found(["a", "b"])
    return world


def test_a_router_is_silent_until_it_is_heard(world: World) -> None:
    view = world.routers.view()
    assert (view.heard, view.silent, view.total) == ((), 2, 2)


def test_a_router_that_is_not_heard_any_more_keeps_its_last_word_for_a_while(world: World) -> None:
    world.hear("a")
    world.clock.advance(RULES.hold)
    world.hear("b")
    assert {each.replica for each in world.routers.view().heard} == {"a", "b"}
    assert (world.routers.view().freshest_seconds, world.routers.view().oldest_seconds) == (0, 30)
    world.clock.advance(0.1)
    assert {each.replica for each in world.routers.view().heard} == {"b"}
    assert world.routers.view().silent == 1


def test_a_router_whose_address_is_gone_is_gone(world: World) -> None:
    world.hear("a")
    world.hear("b")
    world.routers.found(["b"])
    assert [each.replica for each in world.routers.view().heard] == ["b"]
    assert world.routers.view().total == 1


def test_a_word_from_where_no_router_should_be_is_passed_over(world: World) -> None:
    world.hear("c")
    assert world.routers.view().heard == ()


def test_a_router_with_two_addresses_counts_once(world: World) -> None:
    for weak, strong in ((100, 100), (101, 103), (102, 106)):
        world.hear("a", holds("one", held(weak=weak, strong=strong)))
        world.hear("b", holds("one", held(weak=weak, strong=strong)))
        world.clock.advance(5)
    assert world.routers.view().total == 1
    assert world.strong_share() == 6 / 8


def test_a_router_that_restarted_takes_the_place_of_the_one_before(world: World) -> None:
    world.hear("a")
    world.hear("b")
    world.hear("a", holds("another"))
    assert {each.replica for each in world.routers.view().heard} == {"another", "b"}


def test_what_a_router_counted_before_it_was_known_is_none_of_the_last_while(world: World) -> None:
    world.hear("a", weak=1000, strong=5000)
    assert world.strong_share() is None
    world.hear("a", weak=1007, strong=5003)
    assert world.strong_share() == 0.3


def test_a_router_that_restarted_has_counted_from_zero_since_it_was_heard(world: World) -> None:
    world.hear("a", weak=1000, strong=5000)
    world.hear("a", holds("another", held(weak=9, strong=1)))
    assert world.strong_share() == 0.1
    world.hear("a", holds("another", held(weak=12, strong=8)))
    assert world.strong_share() == 0.4


def test_a_new_version_of_a_policy_has_a_share_of_its_own(world: World) -> None:
    world.hear("a", weak=0, strong=0)
    world.hear("a", weak=0, strong=10)
    world.hear("a", holds("a", held(5, weak=4, strong=1, version="v5")))
    shares = world.routers.shares(UID, held(5, version="v5"))
    assert shares is not None
    assert [each.wanted for each in shares] == [0.8, 0.2]
    assert world.strong_share() == 1


def test_a_policy_that_went_and_came_back_counts_nothing_twice(world: World) -> None:
    world.hear("a", weak=500, strong=500)
    world.hear("a", weak=501, strong=503)
    world.hear("a", weak=2, strong=0)
    world.hear("a", weak=3, strong=3)
    assert world.strong_share() == 6 / 8


def test_what_was_decided_longer_ago_than_the_window_is_forgotten(world: World) -> None:
    world.hear("a", weak=0, strong=0)
    world.hear("a", weak=0, strong=10)
    world.pass_by(200)
    world.hear("a", weak=10, strong=10)
    assert world.strong_share() == 0.5
    world.pass_by(110)
    assert world.strong_share() == 0
    world.pass_by(200)
    assert str(world.strong_share()) == "nan"


def test_a_router_that_is_away_for_long_is_a_new_acquaintance_when_it_comes_back(world: World) -> None:
    world.hear("a", weak=0, strong=0)
    world.routers.found(["b"])
    world.clock.advance(2 * RULES.window)
    world.routers.found(["b"])
    world.routers.found(["a", "b"])
    world.hear("a", weak=0, strong=9000)
    assert str(world.strong_share()) == "nan"


counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), min_size=1, max_size=30)


@given(st.fixed_dictionaries({"a": counts, "b": counts}))
def test_shares_are_those_of_all_decisions_however_often_routers_restart(
    stories: dict[str, list[tuple[int, int, bool]]],
) -> None:
    world, weak, strong = World(), 0, 0
    world.routers.found(stories)
    for address, story in stories.items():
        process, totals = 0, [0, 0]
        world.hear(address, holds(f"{address}0"))
        for more_weak, more_strong, restarts in story:
            if restarts:
                process, totals = process + 1, [0, 0]
            totals = [totals[0] + more_weak, totals[1] + more_strong]
            weak, strong = weak + more_weak, strong + more_strong
            world.hear(address, holds(f"{address}{process}", held(weak=totals[0], strong=totals[1])))
            world.clock.advance(1)
    assert world.strong_share() == (strong / (weak + strong) if weak + strong else None)
