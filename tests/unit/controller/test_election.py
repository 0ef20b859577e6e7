"""When the work is done and when it is not, against a Lease in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from fakes.clock import FakeClock
from fakes.leases import FakeLeases
from steersman.controller.election import Election
from steersman.controller.lease import Candidate, Terms

QUICK = Terms(duration=1, deadline=0.3, retry=0.02)


@dataclass
class Work:
    """Says when it is being done."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0

    async def __call__(self) -> None:
        self.times += 1
        self.begun.set()
        self.ended.clear()
        try:
            await asyncio.Event().wait()  # for ever
        finally:
            self.begun.clear()
            self.ended.set()


def election(name: str, leases: FakeLeases, work: Work) -> Election:
    return Election(Candidate(name, QUICK), QUICK, leases, work)


@asynccontextmanager
async def running(election: Election) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(election.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 20)


@pytest.fixture
def leases() -> FakeLeases:
    return FakeLeases()


@pytest.fixture
def work() -> Work:
    return Work()


async def test_the_leader_works_and_the_other_stands_by(leases: FakeLeases, work: Work) -> None:
    other = Work()
    follower = election("b", leases, other)
    async with running(election("a", leases, work)):
        await soon(work.begun)
        await follower.look()
        assert (follower.leads, follower.sees) == (False, True)
    assert other.times == 0


async def test_a_leader_that_is_ended_stops_working_and_then_gives_the_lease_back(
    leases: FakeLeases, work: Work
) -> None:
    one = election("a", leases, work)
    async with running(one):
        await soon(work.begun)
    assert work.ended.is_set()
    await one.resign()
    assert leases.stored is not None
    assert leases.stored.holder == ""
    async with running(election("b", leases, other := Work())):
        await asyncio.wait_for(other.begun.wait(), QUICK.retry * 10)


async def test_a_leader_that_died_is_replaced(leases: FakeLeases, work: Work) -> None:
    async with running(election("a", leases, work)):
        await soon(work.begun)
    async with running(election("b", leases, other := Work())):
        await soon(other.begun)
    assert leases.stored is not None
    assert (leases.stored.holder, leases.stored.transitions) == ("b", 1)


@pytest.mark.parametrize("knob", ["down", "hangs"])
async def test_a_leader_that_cannot_renew_stops_working_before_its_lease_is_over(
    leases: FakeLeases, work: Work, knob: str
) -> None:
    one = election("a", leases, work)
    async with running(one):
        await soon(work.begun)
        cut_off_at = asyncio.get_running_loop().time()
        setattr(leases, knob, True)
        await soon(work.ended)
        assert asyncio.get_running_loop().time() - cut_off_at < QUICK.duration
        assert not one.sees


async def test_a_leader_whose_lead_is_over_stops_working_and_asks_nobody_first(
    leases: FakeLeases, work: Work
) -> None:
    terms, clock = Terms(duration=90, deadline=60, retry=0.02), FakeClock()
    async with running(Election(Candidate("a", terms, clock=clock), terms, leases, work)):
        await soon(work.begun)
        leases.hangs = True
        clock.advance(terms.deadline)
        await soon(work.ended)


async def test_a_leader_that_cannot_renew_for_a_moment_works_on(leases: FakeLeases, work: Work) -> None:
    failures: list[None] = []
    failed = asyncio.Event()

    def on_api_error() -> None:
        failures.append(None)
        failed.set()

    one = election("a", leases, work)
    one.on_api_error = on_api_error
    async with running(one):
        await soon(work.begun)
        leases.down = True
        await soon(failed)
        leases.down = False
        leases.written.clear()
        await soon(leases.written)
        assert work.begun.is_set()
    assert work.times == 1


async def test_a_leader_in_whose_place_another_is_stops_working(leases: FakeLeases, work: Work) -> None:
    async with running(election("a", leases, work)):
        await soon(work.begun)
        thief = election("b", leases, Work())
        leases.stored = None
        await thief.look()
        await soon(work.ended)


async def test_who_leads_no_more_leads_again_once_it_can(leases: FakeLeases, work: Work) -> None:
    async with running(election("a", leases, work)):
        await soon(work.begun)
        leases.down = True
        await soon(work.ended)
        leases.down = False
        await soon(work.begun)
    assert work.times == 2


async def test_a_lease_that_is_somebody_elses_is_not_given_back(leases: FakeLeases) -> None:
    await election("a", leases, Work()).look()
    await election("b", leases, Work()).resign()
    assert leases.stored is not None
    assert leases.stored.holder == "a"


async def test_giving_back_does_not_wait_for_an_api_that_is_away(leases: FakeLeases) -> None:
    one = election("a", leases, Work())
    await one.look()
    leases.down = True
    await one.resign()
    assert leases.stored is not None
    assert leases.stored.holder == "a"
