"""The rules of the Lease, with clocks that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from fakes.clock import FakeClock
from fakes.leases import FakeLeases
from steersman.controller.lease import Candidate, Lease, Terms
from steersman.runtime.kubernetes.api import Conflict

TERMS = Terms(duration=12, deadline=8.0, retry=2.0)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """One Lease, and candidates whose requests take as long as the test says."""

    clock: FakeClock = field(default_factory=FakeClock)
    leases: FakeLeases = field(default_factory=FakeLeases)

    def candidate(self, name: str) -> Candidate:
        return Candidate(name, TERMS, clock=self.clock, now=lambda: EPOCH + timedelta(seconds=self.clock.now))

    def look(self, candidate: Candidate) -> bool:
        """A whole look, within no time; whether it leads after it."""
        if (wanted := candidate.wanted(self.leases.stored)) is not None:
            candidate.won(self.leases.store(wanted))
        return candidate.leads_for > 0

    def holder(self) -> str:
        assert self.leases.stored is not None
        return self.leases.stored.holder


@pytest.fixture
def world() -> World:
    return World()


def test_where_there_is_no_lease_the_first_to_look_leads(world: World) -> None:
    assert world.look(world.candidate("a"))
    assert not world.look(world.candidate("b"))
    assert world.holder() == "a"


def test_of_two_who_see_that_there_is_none_one_leads(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    first, second = a.wanted(None), b.wanted(None)
    assert first is not None
    assert second is not None
    a.won(world.leases.store(first))
    with pytest.raises(Conflict):
        world.leases.store(second)
    assert (a.leads_for > 0, b.leads_for) == (True, 0)


def test_a_leader_that_renews_leads_on_and_keeps_when_it_began(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    world.look(a)
    for _ in range(20):
        world.clock.advance(2)
        assert world.look(a)
        assert not world.look(b)
    assert world.leases.stored is not None
    assert world.leases.stored.acquired_at == EPOCH + timedelta(seconds=1000)
    assert world.leases.stored.renewed_at == EPOCH + timedelta(seconds=1040)
    assert world.leases.stored.transitions == 0


def test_a_leader_that_cannot_renew_stops_before_another_may_begin(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    world.look(a)
    world.look(b)
    world.clock.advance(TERMS.deadline - 0.001)
    assert a.leads_for == pytest.approx(0.001)
    world.clock.advance(0.001)
    assert a.leads_for == 0
    world.clock.advance(TERMS.duration - TERMS.deadline - 0.001)
    assert not world.look(b)
    world.clock.advance(0.001)
    assert world.look(b)
    assert world.leases.stored is not None
    assert world.leases.stored.transitions == 1


def test_a_leader_that_died_is_replaced_within_the_leases_duration_and_one_look(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    world.look(a)
    died_at = world.clock.now
    while not world.look(b):
        world.clock.advance(TERMS.retry)
    assert world.clock.now - died_at <= TERMS.duration + TERMS.retry


def test_who_has_only_just_come_waits_for_a_whole_duration_however_old_the_lease_says_it_is(
    world: World,
) -> None:
    world.look(world.candidate("a"))
    world.clock.advance(3600)
    b = world.candidate("b")
    assert not world.look(b)
    world.clock.advance(TERMS.duration)
    assert world.look(b)


def test_a_lease_that_was_given_back_is_taken_at_once(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    world.look(a)
    world.look(b)
    given_back = a.resign(world.leases.stored)
    assert given_back is not None
    assert a.leads_for == 0
    world.leases.store(given_back)
    assert world.look(b)


def test_what_is_not_held_is_not_given_back(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    world.look(a)
    assert b.resign(world.leases.stored) is None
    assert b.resign(None) is None
    assert world.holder() == "a"


def test_who_sees_another_in_its_place_stops_at_once(world: World) -> None:
    a = world.candidate("a")
    world.look(a)
    assert world.leases.stored is not None
    taken = replace(world.leases.stored, holder="b", renewed_at=EPOCH, version="2")
    assert a.wanted(taken) is None
    assert a.leads_for == 0


def test_a_leader_whose_lease_was_deleted_makes_it_anew(world: World) -> None:
    a = world.candidate("a")
    world.look(a)
    world.leases.stored = None
    wanted = a.wanted(None)
    assert wanted is not None
    assert wanted.version == ""


def test_a_renewal_counts_from_before_it_was_sent(world: World) -> None:
    a = world.candidate("a")
    wanted = a.wanted(None)
    assert wanted is not None
    stored = world.leases.store(wanted)
    world.clock.advance(5)
    a.won(stored)
    assert a.leads_for == TERMS.deadline - 5


def test_the_duration_that_the_holder_wrote_is_the_one_that_counts(world: World) -> None:
    world.leases.stored = Lease("somebody else", 60, EPOCH, EPOCH, version="7")
    b = world.candidate("b")
    assert not world.look(b)
    world.clock.advance(59)
    assert not world.look(b)
    world.clock.advance(1)
    assert world.look(b)


def test_a_label_that_somebody_adds_is_no_renewal(world: World) -> None:
    a, b = world.candidate("a"), world.candidate("b")
    world.look(a)
    world.look(b)
    world.clock.advance(11)
    assert world.leases.stored is not None
    world.leases.stored = replace(world.leases.stored, version="9")
    assert not world.look(b)
    world.clock.advance(1)
    assert b.wanted(world.leases.stored) is not None


@dataclass
class Slow:
    """A candidate whose looks take their time: it reads, it sends, it hears what came of it; or never does."""

    candidate: Candidate
    sent: Lease | None = None
    stored: Lease | None = None

    def step(self, leases: FakeLeases) -> None:
        if self.stored is not None:
            self.candidate.won(self.stored)
            self.stored = None
        elif self.sent is not None:
            try:
                self.stored = leases.store(self.sent)
            except Conflict:
                self.candidate.wanted(leases.stored)
            self.sent = None
        else:
            own = self.candidate.held if self.candidate.leads_for > 0 else None
            self.sent = self.candidate.wanted(own or leases.stored)

    def give_up(self) -> None:
        """The request took too long; what comes of it nobody hears."""
        self.sent = self.stored = None


steps = st.tuples(
    st.integers(0, 1),
    st.sampled_from([*["step"] * 12, "give up", "resign"]),
    st.sampled_from([*[0] * 6, 1, 3, 6, 9]),
)


@pytest.mark.slow
@settings(max_examples=250)
@given(st.lists(steps, min_size=30, max_size=60))
def test_no_two_ever_lead_at_once_however_slow_requests_are_and_whichever_get_lost(
    story: list[tuple[int, str, int]],
) -> None:
    world = World()
    all_of_them = [Slow(world.candidate(name)) for name in "ab"]
    for who, what, seconds in story:
        one = all_of_them[who]
        if what == "step":
            one.step(world.leases)
        elif what == "give up":
            one.give_up()
        elif (lease := one.candidate.resign(world.leases.stored)) is not None:
            one.give_up()
            world.leases.store(lease)
        assert sum(each.candidate.leads_for > 0 for each in all_of_them) <= 1
        world.clock.advance(seconds)
        assert sum(each.candidate.leads_for > 0 for each in all_of_them) <= 1
