from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from fakes.addresses import FakeAddresses
from fakes.clock import FakeClock
from fakes.router import a_fleet
from fakes.upstream import FakeUpstream
from steersman.router.fleet import STALE_SECONDS, Fleet
from steersman.router.ports import Load
from steersman.runtime.breaker import Breaker, State


class Port:
    """A fleet on fakes, and what it connected to."""

    def __init__(self, *addresses: str) -> None:
        self.source = FakeAddresses(addresses)
        self.clock = FakeClock()
        self.made: dict[str, FakeUpstream] = {}
        self.connected = asyncio.Event()
        self.fleet: Fleet[FakeUpstream] = Fleet(
            "dns:///engine:9001",
            self.source,
            self.connect,
            partial(Breaker, threshold=1, cooldown=10.0, clock=self.clock),
        )

    async def connect(self, address: str) -> FakeUpstream:
        self.made[address] = FakeUpstream(address)
        self.connected.set()
        return self.made[address]

    async def find(self, *addresses: str) -> None:
        self.source.found = addresses
        await self.fleet.refresh()

    def addresses(self) -> set[str]:
        return {member.address for member in self.fleet.members}

    def picks(self, count: int = 200) -> Counter[str]:
        picked = [self.fleet.pick() for _ in range(count)]
        return Counter(member.address for member in picked if member is not None)


async def port(*addresses: str) -> Port:
    made = Port(*addresses)
    await made.fleet.refresh()
    return made


async def test_each_address_has_a_client_of_its_own() -> None:
    three = await port("a:1", "b:1", "c:1")
    assert three.addresses() == set(three.made) == {"a:1", "b:1", "c:1"}
    assert three.source.asked == ["dns:///engine:9001"]


async def test_an_address_that_is_named_twice_is_one_member() -> None:
    assert len((await port("a:1", "a:1")).fleet.members) == 1


async def test_nothing_is_picked_where_there_is_nothing() -> None:
    assert (await port()).fleet.pick() is None


async def test_of_two_members_the_less_busy_one_is_picked() -> None:
    two = await port("a:1", "b:1")
    busy = two.fleet.pick(avoid=["b:1"])
    assert busy is not None
    with busy.lease():
        assert set(two.picks()) == {"b:1"}


BUSY, IDLE = Load(waiting=3, running=4, slots=4), Load(waiting=0, running=1, slots=4)


async def two_that_say(one: Load | None, other: Load | None) -> Port:
    """A fleet of `a:1` and `b:1`, which have said so."""
    two = await port("a:1", "b:1")
    two.fleet.clock = two.clock
    for member, load in zip(two.fleet.members, (one, other), strict=True):
        if load is not None:
            two.fleet.heard(member, load)
    return two


async def test_where_requests_in_flight_are_equal_what_members_say_of_their_load_decides() -> None:
    assert set((await two_that_say(BUSY, IDLE)).picks()) == {"b:1"}


async def test_own_requests_in_flight_come_before_what_members_say() -> None:
    two = await two_that_say(BUSY, IDLE)
    with two.fleet.members[1].lease():
        assert set(two.picks()) == {"a:1"}


async def test_load_is_held_against_slots() -> None:
    many_slots = Load(waiting=0, running=8, slots=32)
    assert set((await two_that_say(many_slots, Load(waiting=0, running=3, slots=4))).picks()) == {"a:1"}


async def test_a_report_that_is_stale_tells_nothing() -> None:
    two = await two_that_say(BUSY, IDLE)
    two.clock.advance(STALE_SECONDS)
    two.fleet.heard(two.fleet.members[1], IDLE)
    assert set(two.picks()) == {"a:1", "b:1"}


async def test_who_says_nothing_is_as_good_as_who_does() -> None:
    assert set((await two_that_say(BUSY, None)).picks()) == {"a:1", "b:1"}


async def test_a_member_that_drains_gets_no_new_requests_while_there_is_another() -> None:
    drains = Load(waiting=0, running=0, slots=4, draining=True)
    assert set((await two_that_say(drains, BUSY)).picks()) == {"b:1"}
    assert set((await two_that_say(drains, drains)).picks()) == {"a:1", "b:1"}


async def test_a_member_that_says_no_more_how_busy_it_is_hangs_and_gets_no_new_requests() -> None:
    two = await two_that_say(IDLE, BUSY)
    hangs, _ = two.fleet.members
    hangs.missed = 3
    assert set(two.picks()) == {"b:1"}
    two.fleet.heard(hangs, IDLE)
    assert set(two.picks()) == {"a:1"}


async def test_where_nobody_says_how_busy_it_is_nobody_hangs() -> None:
    two = await two_that_say(IDLE, IDLE)
    for member in two.fleet.members:
        member.missed = 3
    assert set(two.picks()) == {"a:1", "b:1"}


async def test_a_member_that_has_never_said_how_busy_it_is_does_not_hang() -> None:
    two = await two_that_say(None, IDLE)
    two.fleet.members[0].missed = 3
    assert set(two.picks()) == {"a:1", "b:1"}


@pytest.mark.parametrize("count", [2, 3, 10])
async def test_idle_members_share_the_work(count: int) -> None:
    many = await port(*(f"{number}:1" for number in range(count)))
    assert len(many.picks(50 * count)) == count


async def test_the_busiest_of_many_members_is_never_picked() -> None:
    many = await port("a:1", "b:1", "c:1", "d:1")
    busiest = many.fleet.members[0]
    with busiest.lease():
        assert busiest.address not in many.picks()


async def test_load_stays_even_when_nothing_ends() -> None:
    many = await port(*(f"{number}:1" for number in range(10)))
    with ExitStack() as leases:
        for _ in range(1000):
            member = many.fleet.pick()
            assert member is not None
            leases.enter_context(member.lease())
        loads = [member.in_flight for member in many.fleet.members]
        assert max(loads) - min(loads) < 20  # one random choice would spread them over about 60
    assert not many.fleet.busy


async def test_addresses_that_were_tried_are_avoided() -> None:
    two = await port("a:1", "b:1")
    for _ in range(20):
        member = two.fleet.pick(avoid=["a:1"])
        assert member is not None
        assert member.address == "b:1"
    assert two.fleet.pick(avoid=["a:1", "b:1"]) is None


async def test_a_member_whose_breaker_is_open_is_left_alone() -> None:
    two = await port("a:1", "b:1")
    two.fleet.members[0].breaker.failure()
    assert set(two.picks()) == {"b:1"}


async def test_nothing_is_picked_when_all_breakers_are_open() -> None:
    two = await port("a:1", "b:1")
    for member in two.fleet.members:
        member.breaker.failure()
    assert two.fleet.pick() is None


async def test_a_member_that_has_cooled_down_is_tried_by_one_request_at_a_time() -> None:
    one = await port("a:1")
    one.fleet.members[0].breaker.failure()
    one.clock.advance(10.0)
    probe = one.fleet.pick()
    assert probe is not None
    assert one.fleet.pick() is None
    probe.breaker.success()
    assert one.fleet.pick() is not None


async def test_looking_at_members_starts_no_probe() -> None:
    two = await port("a:1", "b:1")
    two.fleet.members[0].breaker.failure()
    two.clock.advance(10.0)
    with two.fleet.members[0].lease():
        assert set(two.picks(20)) == {"b:1"}
    assert two.fleet.members[0].breaker.state is State.HALF_OPEN
    assert two.fleet.members[0].breaker.ready


async def test_new_addresses_are_connected_and_known_ones_kept() -> None:
    fleet = await port("a:1", "b:1")
    first = fleet.made["b:1"]
    await fleet.find("b:1", "c:1")
    assert fleet.addresses() == {"b:1", "c:1"}
    assert fleet.made["b:1"] is first


async def test_an_idle_client_of_a_lost_address_is_closed() -> None:
    fleet = await port("a:1", "b:1")
    await fleet.find("b:1")
    assert fleet.made["a:1"].closed == 1
    assert fleet.made["b:1"].closed == 0


async def test_a_busy_client_of_a_lost_address_is_closed_only_when_its_work_has_ended() -> None:
    fleet = await port("a:1")
    member = fleet.fleet.pick()
    assert member is not None
    with member.lease():
        await fleet.find("b:1")
        assert fleet.made["a:1"].closed == 0
        assert fleet.fleet.busy
    await fleet.fleet.refresh()
    assert fleet.made["a:1"].closed == 1
    assert not fleet.fleet.busy


async def test_an_address_that_comes_back_begins_anew() -> None:
    fleet = await port("a:1", "b:1")
    fleet.fleet.members[0].breaker.failure()
    await fleet.find("b:1")
    await fleet.find("a:1", "b:1")
    assert set(fleet.picks()) == {"a:1", "b:1"}


async def test_what_is_known_stays_when_addresses_cannot_be_found_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = await port("a:1")
    fleet.source.down = True
    with caplog.at_level(logging.WARNING):
        await fleet.fleet.refresh()
    assert fleet.addresses() == {"a:1"}
    assert [record.getMessage() for record in caplog.records] == ["addresses not found"]


async def test_that_there_is_no_address_is_logged_once_and_so_is_the_end_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = await port("a:1")
    with caplog.at_level(logging.INFO):
        for addresses in ((), (), ("a:1",), ("a:1", "b:1")):
            await fleet.find(*addresses)
    assert [record.getMessage() for record in caplog.records] == ["there is no address", "addresses found"]


async def test_a_name_that_never_had_an_address_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert (await port()).fleet.empty
    assert [record.getMessage() for record in caplog.records] == ["there is no address"]


async def test_addresses_are_followed_in_the_background() -> None:
    fleet = Port("a:1")
    fleet.fleet.refresh_seconds = 0.001
    following = asyncio.create_task(fleet.fleet.keep_fresh())
    async with asyncio.timeout(5):
        await fleet.connected.wait()
        await fleet.fleet.refresh()
    following.cancel()
    assert fleet.addresses() == {"a:1"}


async def test_closing_closes_every_client_even_busy_ones() -> None:
    fleet = await port("a:1", "b:1")
    with fleet.fleet.members[0].lease():
        await fleet.find("b:1")
        await fleet.fleet.close()
    assert [client.closed for client in fleet.made.values()] == [1, 1]
    assert fleet.fleet.pick() is None


async def test_a_lease_ends_when_the_work_fails() -> None:
    one = await port("a:1")
    with pytest.raises(ZeroDivisionError), one.fleet.members[0].lease():
        raise ZeroDivisionError
    assert one.fleet.members[0].in_flight == 0


async def test_clients_of_an_earlier_edition_are_replaced_and_close_when_their_requests_have_ended() -> None:
    edition = 1
    two = await port("a:1", "b:1")
    two.fleet.edition = lambda: edition
    await two.fleet.refresh()
    old = {member.address: member for member in two.fleet.members}
    with old["a:1"].lease() as busy:
        edition = 2
        await two.fleet.refresh()
        assert {member.address for member in two.fleet.members} == {"a:1", "b:1"}
        assert not {id(member.client) for member in two.fleet.members} & {
            id(each.client) for each in old.values()
        }
        assert not busy.closed
        assert old["b:1"].client.closed
    await two.fleet.refresh()
    assert busy.closed
    assert all(member.breaker is old[member.address].breaker for member in two.fleet.members)


async def test_members_that_are_left_over_where_a_look_is_cut_off_are_closed_by_the_next() -> None:
    class Slow(FakeUpstream):
        async def close(self) -> None:
            await asyncio.sleep(0)
            await super().close()

    upstreams = [Slow(f"pod-{number}:1") for number in range(3)]
    fleet = a_fleet(upstreams)
    await fleet.refresh()
    fleet.source = FakeAddresses([])
    cut_off = asyncio.create_task(fleet.refresh())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cut_off.cancel()
    with suppress(asyncio.CancelledError):
        await cut_off
    await fleet.refresh()
    assert all(upstream.closed for upstream in upstreams)
