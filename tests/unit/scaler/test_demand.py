"""How demand is added up, with a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, strategies as st

from fakes.clock import FakeClock
from steersman.runtime.errors import Unavailable
from steersman.scaler.demand import Demand, Rules
from steersman.scaler.model import Audience, Counts, Report, Sums

RULES = Rules(hold=60.0, unmet=20.0, settle=5.0)
PART = "tier/strong"
ADDRESSES = ("a:1", "b:1", "c:1")

numbers = st.integers(0, 1000)
counts = st.builds(Counts, waiting=numbers, running=numbers)
all_routers = st.fixed_dictionaries(dict.fromkeys(ADDRESSES, counts))


def report(replica: str = "one", *, part: str = PART, **fields: int) -> Report:
    return Report(replica, {part: Counts(**fields)})


@dataclass
class World:
    """Demand, and what happens to the routers that it is added up from."""

    clock: FakeClock = field(default_factory=FakeClock)
    demand: Demand = field(init=False)

    def __post_init__(self) -> None:
        self.demand = Demand(RULES, clock=self.clock)

    def total(self) -> int:
        return self.demand.of(PART).total

    def known(self) -> bool:
        try:
            self.demand.sums()
        except Unavailable:
            return False
        return True

    def hear_all(self, routers: dict[str, Counts]) -> None:
        """Every router is there and reports; the replica has its address's name."""
        self.demand.found(routers)
        for address, each in routers.items():
            self.demand.heard(address, Report(address, {PART: each}))


@pytest.fixture
def world() -> World:
    return World()


def expected(routers: dict[str, Counts]) -> int:
    return sum(each.waiting + each.running for each in routers.values())


@given(all_routers)
def test_waiting_and_running_of_all_routers_are_added_up(routers: dict[str, Counts]) -> None:
    world = World()
    world.hear_all(routers)
    assert world.total() == expected(routers)


@given(all_routers, st.permutations(ADDRESSES))
def test_it_does_not_matter_who_reports_first(routers: dict[str, Counts], order: list[str]) -> None:
    one, other = World(), World()
    one.hear_all(routers)
    other.hear_all({address: routers[address] for address in order})
    assert one.demand.sums() == other.demand.sums()


@given(all_routers, st.sampled_from(ADDRESSES), st.sampled_from(("waiting", "running")), numbers)
def test_more_demand_at_one_router_is_as_much_more_in_all(
    routers: dict[str, Counts], address: str, state: str, more: int
) -> None:
    world = World()
    world.hear_all(routers)
    before, changed = world.total(), routers[address]
    changed = replace(changed, **{state: getattr(changed, state) + more})
    world.demand.heard(address, Report(address, {PART: changed}))
    assert world.total() == before + more


@given(all_routers, st.lists(st.tuples(st.sampled_from(ADDRESSES), st.floats(0, 20)), max_size=3))
def test_silence_changes_nothing_while_it_is_short(
    routers: dict[str, Counts], losses: list[tuple[str, float]]
) -> None:
    world = World()
    world.hear_all(routers)
    for address, seconds in losses:
        world.demand.lost(address)
        world.clock.advance(seconds)
    assert world.total() == expected(routers)


@given(all_routers, st.floats(0.1, 59.0), st.floats(0.001, 0.9))
def test_a_router_that_is_silent_for_too_long_is_dropped_if_others_are_heard(
    routers: dict[str, Counts], moment: float, share: float
) -> None:
    world = World()
    world.hear_all(routers)
    world.demand.lost("a:1")
    world.clock.advance(moment)
    for address in ("b:1", "c:1"):
        world.demand.heard(address, Report(address, {PART: routers[address]}))
    assert world.total() == expected(routers)
    world.clock.advance(RULES.hold - moment + moment * share)
    assert world.total() == expected(routers) - expected({"a:1": routers["a:1"]})


@given(all_routers, st.floats(60.001, 10_000))
def test_with_no_router_heard_at_all_nothing_is_known(routers: dict[str, Counts], later: float) -> None:
    world = World()
    world.hear_all(routers)
    world.clock.advance(later)
    with pytest.raises(Unavailable, match="no router has been heard in the last 60 s") as refusal:
        world.total()
    assert refusal.value.reason == "NO_ROUTER_HEARD"


@given(counts, counts, numbers, numbers)
def test_a_restarted_router_counts_as_what_it_is_now(
    before: Counts, after: Counts, met_not: int, then: int
) -> None:
    world = World()
    world.demand.found(["a:1"])
    world.demand.heard("a:1", Report("old", {PART: replace(before, unmet_total=met_not)}))
    world.demand.lost("a:1")
    world.demand.heard("a:1", Report("new", {PART: replace(after, unmet_total=then)}))
    assert world.demand.of(PART) == Sums(after.waiting, after.running, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 4)), min_size=1, max_size=5), numbers)
def test_each_unmet_request_counts_once_for_a_while_and_then_no_more(
    steps: list[tuple[int, float]], before: int
) -> None:
    world = World()
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report(unmet_total=before))
    total = before
    for more, seconds in steps:
        total += more
        world.demand.heard("a:1", report(unmet_total=total))
        assert world.total() == total - before
        world.clock.advance(seconds)
    world.clock.advance(RULES.unmet + 1)
    assert world.total() == 0


@given(st.floats(0, 19.9), st.integers(1, 100))
def test_an_unmet_request_is_seen_by_whoever_looks_within_the_window(later: float, number: int) -> None:
    world = World(FakeClock(now=1000.3))
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report(unmet_total=7))
    world.demand.heard("a:1", report(unmet_total=7 + number))
    world.clock.advance(later)
    assert world.demand.of(PART) == Sums(unmet=number)


def test_what_was_not_met_before_a_router_was_first_heard_is_old(world: World) -> None:
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report(unmet_total=1000))
    assert world.total() == 0


def test_what_was_not_met_while_a_router_was_silent_counts_when_it_is_heard_again(world: World) -> None:
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report(unmet_total=10))
    world.demand.lost("a:1")
    world.clock.advance(30)
    world.demand.heard("a:1", report(unmet_total=14))
    assert world.total() == 4


def test_what_was_not_met_while_a_router_was_silent_for_too_long_is_old(world: World) -> None:
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report(unmet_total=10))
    world.clock.advance(61)
    world.demand.heard("a:1", report(unmet_total=5000))
    assert world.total() == 0


def test_a_tier_that_a_router_names_later_has_had_nothing_unmet_before(world: World) -> None:
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report(part="tier/weak"))
    world.demand.heard("a:1", report(unmet_total=2))
    assert world.total() == 2


def test_at_the_start_nothing_is_known(world: World) -> None:
    assert not world.known()
    world.demand.found(ADDRESSES)
    assert not world.known()


def test_after_the_start_nothing_is_known_until_every_router_has_been_heard(world: World) -> None:
    world.demand.found(ADDRESSES)
    for address in ADDRESSES[:-1]:
        world.demand.heard(address, report(address, running=5))
        with pytest.raises(Unavailable) as refusal:
            world.total()
        assert refusal.value.reason == "ROUTERS_NOT_HEARD_YET"
    world.demand.heard(ADDRESSES[-1], report(ADDRESSES[-1], running=5))
    assert world.total() == 15


def test_a_router_that_never_speaks_is_not_waited_for_for_ever(world: World) -> None:
    world.demand.found(ADDRESSES)
    world.demand.heard("a:1", report("a", running=5))
    world.clock.advance(RULES.settle)
    assert world.total() == 5


def test_after_a_long_silence_of_all_it_is_as_at_the_start(world: World) -> None:
    world.hear_all(dict.fromkeys(ADDRESSES, Counts(running=5)))
    world.clock.advance(61)
    world.demand.heard("a:1", report("a:1", running=5))
    assert not world.known()
    world.demand.heard("b:1", report("b:1", running=5))
    world.demand.heard("c:1", report("c:1", running=5))
    assert world.total() == 15


def test_a_router_that_comes_later_does_not_make_the_others_unknown(world: World) -> None:
    world.demand.found(["a:1"])
    world.demand.heard("a:1", report("a", running=5))
    world.clock.advance(RULES.settle)
    world.demand.found(["a:1", "b:1"])
    assert world.total() == 5


def test_a_router_that_has_left_takes_its_demand_along_at_once(world: World) -> None:
    world.hear_all({"a:1": Counts(running=5), "b:1": Counts(running=2)})
    world.demand.lost("a:1")
    assert world.total() == 7
    world.demand.found(["b:1"])
    assert world.total() == 2


def test_a_router_whose_address_is_gone_counts_while_it_still_reports(world: World) -> None:
    world.hear_all({"a:1": Counts(running=5), "b:1": Counts(running=2)})
    world.demand.found(["b:1"])
    assert not world.demand.expects("a:1")
    assert world.total() == 7
    world.demand.lost("a:1")
    assert world.total() == 2


def test_a_router_with_two_addresses_counts_once(world: World) -> None:
    world.demand.found(["10.0.0.1:9000", "[fd00::1]:9000"])
    world.demand.heard("10.0.0.1:9000", report("same", running=5))
    world.demand.heard("[fd00::1]:9000", report("same", running=6))
    assert world.total() == 6


def test_a_part_that_no_router_knows_is_unknown_rather_than_idle(world: World) -> None:
    world.hear_all({"a:1": Counts()})
    with pytest.raises(Unavailable, match="no router knows 'tier/gold'") as refusal:
        world.demand.of("tier/gold")
    assert refusal.value.reason == "PART_UNKNOWN"


def test_a_part_that_one_of_the_routers_knows_is_known(world: World) -> None:
    world.hear_all({"a:1": Counts()})
    world.demand.heard("b:1", report("b", part="tier/gold", waiting=1))
    assert world.demand.of("tier/gold").total == 1
    assert world.demand.sums() == {PART: Sums(), "tier/gold": Sums(waiting=1)}


def test_it_tells_how_many_routers_are_heard_and_how_well(world: World) -> None:
    assert world.demand.audience() == Audience()
    world.hear_all({"a:1": Counts(), "b:1": Counts()})
    world.demand.found(ADDRESSES)
    world.demand.lost("a:1")
    world.clock.advance(10)
    world.demand.heard("b:1", report("b:1"))
    assert world.demand.audience() == Audience(heard=1, silent=1, unheard=1, oldest_seconds=10)
    world.clock.advance(55)
    world.demand.heard("b:1", report("b:1"))
    assert world.demand.audience() == Audience(heard=1, silent=0, unheard=2, oldest_seconds=0)
