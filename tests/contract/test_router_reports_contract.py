"""What the controller relies on in a router's report, asked of the fake ones and of a real server on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from fakes.policy_server import PolicyServer, policy_server, response_of
from fakes.router_reports import FakeRouterReports
from steersman.controller.adapters.router import RouterClient
from steersman.controller.model import Decisions, Report
from steersman.controller.ports import RouterLost, RouterReports
from unit.controller.examples import UID, held, holds, refuses

FIRST = holds("one", held(weak=7, strong=3))
PATIENCE = 20


@dataclass
class Subject:
    """Routers under test, and what can be done to the one at `address`; there is none at `nobody`."""

    reports: RouterReports
    address: str
    nobody: str
    say: Callable[[Report], None]
    die: Callable[[], Awaitable[None]]

    async def ask(self, address: str = "") -> Report:
        return await asyncio.wait_for(self.reports.report(address or self.address), PATIENCE)


class RouterReportsContract:
    """The suite; a subclass says which routers are the `subject`."""

    async def test_a_report_tells_who_reports_and_by_what_it_decides_and_decided(
        self, subject: Subject
    ) -> None:
        assert await subject.ask() == FIRST

    async def test_each_report_is_a_fresh_one(self, subject: Subject) -> None:
        await subject.ask()
        subject.say(later := holds("one", held(5, weak=1, version="v5")))
        assert await subject.ask() == later

    async def test_a_report_tells_what_was_refused_and_what_decides_instead(self, subject: Subject) -> None:
        subject.say(refusing := refuses("one", "there is no tier gold", older=3))
        assert await subject.ask() == refusing

    async def test_a_router_that_has_not_reached_its_classifier_names_none(self, subject: Subject) -> None:
        subject.say(replace(FIRST, classifier=None))
        assert (await subject.ask()).classifier is None

    async def test_a_router_may_know_no_resource(self, subject: Subject) -> None:
        subject.say(Report("one"))
        assert await subject.ask() == Report("one")

    async def test_a_router_that_died_is_lost(self, subject: Subject) -> None:
        await subject.ask()
        await subject.die()
        with pytest.raises(RouterLost, match=r".+"):
            await subject.ask()

    async def test_where_there_is_no_router_one_is_lost(self, subject: Subject) -> None:
        with pytest.raises(RouterLost, match=r".+"):
            await subject.ask(subject.nobody)


class TestFake(RouterReportsContract):
    @pytest.fixture
    def subject(self) -> Subject:
        fake = FakeRouterReports({"router:1": FIRST})

        async def die() -> None:
            fake.reports.clear()

        return Subject(
            fake,
            address="router:1",
            nobody="nobody:1",
            say=lambda report: fake.reports.update({"router:1": report}),
            die=die,
        )


class TestOverGrpc(RouterReportsContract):
    @pytest.fixture
    async def server(self) -> AsyncIterator[PolicyServer]:
        async with policy_server(FIRST) as server:
            yield server

    @pytest.fixture
    def subject(self, server: PolicyServer) -> Subject:
        return Subject(
            RouterClient(timeout_seconds=0.5),
            address=server.address,
            nobody="127.0.0.1:9",
            say=server.say,
            die=server.die,
        )

    async def test_a_router_that_does_not_answer_in_time_is_lost(
        self, subject: Subject, server: PolicyServer
    ) -> None:
        server.stall()
        with pytest.raises(RouterLost, match="DEADLINE_EXCEEDED"):
            await subject.ask()

    async def test_a_number_below_zero_counts_as_none(self, subject: Subject, server: PolicyServer) -> None:
        response = response_of(FIRST)
        response.policies[1].tiers[1].wanted_total = -5
        server.answer(response)
        assert (await subject.ask()).held[UID].decisions[1] == Decisions("strong", 0, 3)
