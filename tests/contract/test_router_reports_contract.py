"""What the controller relies on in a router's report, asked of the fake ones and of a real server on the wire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from fakes.catalogue import a_catalogue, a_policy, a_resource
from fakes.classifier import IDENTITY
from fakes.garbage import GARBAGE, says
from fakes.policy_server import PolicyServer, policy_server, response_of, serving
from fakes.router_reports import FakeRouterReports
from steersman.controller.adapters.router import RouterClient
from steersman.controller.model import Classifier, Decisions, Held, Refusal, Report
from steersman.controller.ports import RouterLost, RouterReports
from steersman.router.accounting import Record
from steersman.router.model import Decision, Reason, Refusal as Refused, Scored
from steersman.router.policy_servicer import PolicyServicer
from steersman.router.tally import Tally
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

    async def test_a_router_that_sends_no_message_is_lost(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.CRITICAL, "grpc")  # which logs a traceback
        method = "steersman.api.v1.PolicyService/ReportPolicies"
        async with says(method, GARBAGE, streams=False) as address:
            with pytest.raises(RouterLost, match="no report"):
                await RouterClient().report(address)

    async def test_a_number_below_zero_counts_as_none(self, subject: Subject, server: PolicyServer) -> None:
        response = response_of(FIRST)
        response.policies[1].tiers[1].wanted_total = -5
        server.answer(response)
        assert (await subject.ask()).held[UID].decisions[1] == Decisions("strong", 0, 3)


async def test_what_the_routers_own_servicer_says_is_understood() -> None:
    policy = a_policy("careful", boundaries=[0.25], resource=a_resource("careful", generation=3))
    refusal = Refused(a_resource("bold", generation=2), "there is no tier gold", 1)
    catalogue = replace(a_catalogue(a_policy("auto"), policy), refused=(refusal,))
    tally = Tally()
    tally.keep(catalogue.policies.values())
    decision = Decision(
        "id", "weak", "strong", Reason.TIER_UNAVAILABLE, policy, (0.25,), Scored(), truncated=False
    )
    tally.closed(Record(decision=decision))
    async with serving(PolicyServicer(lambda: catalogue, lambda: IDENTITY, tally, "one")) as address:
        report = await RouterClient().report(address)
    assert report == Report(
        "one",
        Classifier(IDENTITY.name, IDENTITY.version, IDENTITY.artefact_digest),
        {
            "uid-of-careful": Held(
                3, policy.version, (0.25,), (Decisions("weak", 0, 1), Decisions("strong", 1, 0))
            )
        },
        {"uid-of-bold": Refusal(2, "there is no tier gold", 1)},
    )
