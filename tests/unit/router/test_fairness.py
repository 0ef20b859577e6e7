from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given, strategies as st

from fakes.router import a_request, router_on_fakes
from steersman.router.fairness import FairShares
from steersman.router.model import Caller
from steersman.router.strain import Strain, Tick, watch
from steersman.runtime.errors import Overloaded


class House:
    """A router's slots, and who has them."""

    def __init__(self, slots: int, **weights: float) -> None:
        self.shares = FairShares(slots)
        self.weights = weights
        self.inside: dict[str, list[ExitStack]] = {}

    def enter(self, tenant: str, count: int = 1) -> int:
        """How many of so many requests were let in."""
        let_in = 0
        for _ in range(count):
            weight = self.weights.get(tenant, 1.0)
            if self.shares.has_room(tenant, weight):
                stack = ExitStack()
                stack.enter_context(self.shares.entered(tenant, weight))
                self.inside.setdefault(tenant, []).append(stack)
                let_in += 1
        return let_in

    def leave(self, tenant: str, count: int = 1) -> None:
        for _ in range(count):
            self.inside[tenant].pop().close()


def test_a_tenant_that_is_alone_may_have_all_slots_and_no_more() -> None:
    assert House(80).enter("a", 100) == 80


def test_where_one_tenant_has_taken_what_it_could_others_find_room() -> None:
    house = House(80)
    house.enter("b")
    assert house.enter("a", 1000) == 69  # with the one of the other tenant, all but the last eighth
    assert house.enter("b", 5) == 5


def test_as_its_requests_end_a_tenant_with_too_many_gives_way_until_all_have_their_share() -> None:
    house = House(80)
    house.enter("b")
    house.enter("a", 1000)
    for _ in range(200):
        house.leave("a")
        house.enter("b")
        house.enter("a")
    assert abs(len(house.inside["a"]) - len(house.inside["b"])) <= 80 / 8


def test_shares_go_by_weight() -> None:
    house = House(80, b=3.0)
    house.enter("b")
    house.enter("a", 1000)
    for _ in range(500):
        house.leave("a")
        house.enter("b")
        house.enter("a")
    assert len(house.inside["b"]) >= 0.75 * 80 - 1


def test_a_slot_comes_free_however_its_request_ends() -> None:
    shares = FairShares(1)
    with pytest.raises(ZeroDivisionError), shares.entered("a", 1.0):
        raise ZeroDivisionError
    assert shares.running == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200), st.integers(1, 20))
def test_never_more_requests_than_slots_are_inside(steps: list[tuple[str, bool]], slots: int) -> None:
    house = House(slots)
    for tenant, comes in steps:
        if comes:
            house.enter(tenant)
        elif house.inside.get(tenant):
            house.leave(tenant)
        assert house.shares.running == sum(map(len, house.inside.values())) <= slots


def timed(shares: FairShares, rates: dict[str, int], ticks: int, *, strained: bool) -> Counter[str]:
    """Who was let in how often, where each tenant sends so many requests between two ticks."""
    let_in = Counter[str]()
    for _ in range(ticks):
        for tenant, rate in rates.items():
            for _ in range(rate):
                if shares.has_time(tenant, 1.0):
                    let_in[tenant] += 1
                    with shares.entered(tenant, 1.0):
                        pass
        shares.tick(strained=strained)
    return let_in


def test_while_the_loop_is_not_strained_everybody_is_let_in() -> None:
    assert timed(FairShares(100), {"a": 50, "b": 1}, 100, strained=False) == {"a": 5000, "b": 100}


def test_when_the_loop_is_strained_only_those_are_thinned_out_who_send_more_than_their_share() -> None:
    shares = FairShares(100)
    timed(shares, {"a": 50, "b": 1, "c": 1}, 100, strained=False)
    let_in = timed(shares, {"a": 50, "b": 1, "c": 1}, 200, strained=True)
    assert let_in["b"] == let_in["c"] == 200
    assert let_in["a"] < 0.2 * 50 * 200


def test_a_tenant_that_is_thinned_out_keeps_its_share() -> None:
    shares = FairShares(100)
    let_in = timed(shares, {"a": 50, "b": 5, "c": 5}, 1000, strained=True)
    assert let_in["a"] >= let_in["b"]


def test_tenants_that_send_alike_are_not_thinned_out() -> None:
    shares = FairShares(100)
    timed(shares, {"a": 5, "b": 5}, 10, strained=False)
    assert timed(shares, {"a": 5, "b": 5}, 200, strained=True) == {"a": 1000, "b": 1000}


def test_a_tenant_that_is_alone_is_not_thinned_out() -> None:
    assert timed(FairShares(100), {"a": 50}, 100, strained=True) == {"a": 5000}


def test_when_the_strain_is_over_everybody_is_let_in_again() -> None:
    shares = FairShares(100)
    timed(shares, {"a": 50, "b": 1}, 200, strained=True)
    timed(shares, {"a": 50, "b": 1}, 60, strained=False)
    assert timed(shares, {"a": 50, "b": 1}, 10, strained=False) == {"a": 500, "b": 10}


def test_tenants_that_come_no_more_are_forgotten() -> None:
    shares = FairShares(100)
    timed(shares, {f"tenant-{number}": 1 for number in range(50)}, 1, strained=False)
    for _ in range(200):
        shares.tick(strained=False)
    assert shares == FairShares(100)


def test_who_sends_little_is_not_thinned_out_even_if_others_send_less() -> None:
    shares = FairShares(100)
    timed(shares, {"b": 1}, 1, strained=False)
    assert timed(shares, {"a": 1}, 50, strained=True) == {"a": 50}


def test_a_loop_that_works_all_the_time_is_strained_and_soon_not_any_more() -> None:
    strain = Strain()
    assert [strain.note(Tick(wall=0.02, worked=0.02)) for _ in range(40)][-1]
    assert not [strain.note(Tick(wall=0.02, worked=0.004)) for _ in range(10)][-1]


def test_a_loop_that_comes_late_again_and_again_is_strained_and_once_is_not() -> None:
    strain = Strain()
    assert not strain.note(Tick(wall=0.15, worked=0.01))
    assert [strain.note(Tick(wall=0.05, worked=0.01)) for _ in range(40)][-1]


async def test_the_loop_is_watched() -> None:
    ticks: list[Tick] = []
    strains: list[bool] = []
    enough = asyncio.Event()

    def on_strain(*, strained: bool) -> None:
        strains.append(strained)
        if len(strains) == 3:
            enough.set()

    watching = asyncio.create_task(watch(ticks.append, on_strain))
    async with asyncio.timeout(5):
        await enough.wait()
    watching.cancel()
    assert len(ticks) == 3
    assert all(tick.wall >= tick.worked > 0 for tick in ticks)


async def test_who_is_refused_before_anything_is_read_is_counted_and_told_when_to_come_back() -> None:
    router = await router_on_fakes(max_in_flight=1)
    stream = router.routing.stream(a_request())
    await anext(stream)
    with pytest.raises(Overloaded) as told:
        router.routing.refuse_early(Caller("default"))
    assert (told.value.reason, told.value.retry_after_seconds) == ("ROUTER_FULL", 1.0)
    assert router.demand.router.unmet_total == 1
    assert router.ledger.outcomes == ["ROUTER_FULL"]
    await stream.aclose()
    router.routing.refuse_early(Caller("default"))
