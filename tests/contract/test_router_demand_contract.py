"""What the scaler relies on in a router's reports, asked of the fake ones and of a real servicer on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from fakes.demand_server import DemandServer, demand_server
from fakes.router_demand import FakeRouter, FakeRouters
from steersman.scaler.adapters.router import RouterStreams
from steersman.scaler.model import Counts, Report
from steersman.scaler.ports import RouterDemand, RouterLost

PATIENCE = 20


@dataclass
class Subject:
    """Routers under test, and what can be done to the one at `address`; there is none at `nobody`."""

    routers: RouterDemand
    address: str
    nobody: str
    want: Callable[[int], None]
    end: Callable[[], Awaitable[None]]
    break_off: Callable[[], Awaitable[None]]
    listeners: Callable[[], int]

    def reports(self) -> aclosing[AsyncGenerator[Report, None]]:
        return aclosing(self.routers.reports(self.address))


async def following(reports: AsyncGenerator[Report, None]) -> Report:
    return await asyncio.wait_for(anext(reports), PATIENCE)


async def until(reports: AsyncGenerator[Report, None], running: int) -> Report:
    while (report := await following(reports)).demand["tier/strong"].running != running:
        pass
    return report


async def to_the_end(reports: AsyncGenerator[Report, None]) -> None:
    while True:
        await following(reports)


class RouterDemandContract:
    """The suite; a subclass says which routers are the `subject`."""

    async def test_the_first_report_comes_at_once_and_names_all_parts_and_the_replica(
        self, subject: Subject
    ) -> None:
        async with subject.reports() as reports:
            report = await following(reports)
        assert report.replica
        assert {"router", "classifier", "tier/weak", "tier/strong"} == set(report.demand)
        assert set(report.demand.values()) == {Counts()}

    async def test_a_change_is_reported(self, subject: Subject) -> None:
        async with subject.reports() as reports:
            await following(reports)
            subject.want(3)
            report = await until(reports, 3)
        assert report.demand["tier/strong"] == Counts(running=3)
        assert report.demand["tier/weak"] == Counts()

    async def test_who_comes_later_hears_the_same_of_the_same_replica(self, subject: Subject) -> None:
        async with subject.reports() as reports:
            first = await following(reports)
            subject.want(2)
            await until(reports, 2)
        async with subject.reports() as reports:
            later = await following(reports)
        assert later.replica == first.replica
        assert later.demand["tier/strong"].running == 2

    async def test_the_reports_end_when_the_router_ends_them(self, subject: Subject) -> None:
        async with subject.reports() as reports:
            await following(reports)
            await subject.end()
            with pytest.raises(StopAsyncIteration):
                await to_the_end(reports)

    async def test_a_router_that_breaks_off_is_lost(self, subject: Subject) -> None:
        async with subject.reports() as reports:
            await following(reports)
            await subject.break_off()
            with pytest.raises(RouterLost, match=r".+"):
                await to_the_end(reports)

    async def test_where_there_is_no_router_one_is_lost(self, subject: Subject) -> None:
        async with aclosing(subject.routers.reports(subject.nobody)) as reports:
            with pytest.raises(RouterLost, match=r".+"):
                await following(reports)

    async def test_who_stops_listening_is_gone(self, subject: Subject) -> None:
        async with subject.reports() as reports:
            await following(reports)
            assert subject.listeners() == 1
        async with asyncio.timeout(PATIENCE):
            while subject.listeners():  # noqa: ASYNC110 - a server learns of it from the network
                await asyncio.sleep(0.01)


class TestFake(RouterDemandContract):
    @pytest.fixture
    def subject(self) -> Subject:
        def report(running: int) -> Report:
            return Report(
                "replica",
                {
                    "router": Counts(),
                    "classifier": Counts(),
                    "tier/weak": Counts(),
                    "tier/strong": Counts(running=running),
                },
            )

        router = FakeRouter(report(0))

        async def say(word: RouterLost | None) -> None:
            router.say(word)

        return Subject(
            FakeRouters({"router:1": router}),
            address="router:1",
            nobody="nobody:1",
            want=lambda running: router.say(report(running)),
            end=lambda: say(None),
            break_off=lambda: say(RouterLost("it died")),
            listeners=lambda: router.listeners,
        )


class TestOverGrpc(RouterDemandContract):
    @pytest.fixture
    async def server(self) -> AsyncIterator[DemandServer]:
        async with demand_server() as server:
            yield server

    @pytest.fixture
    def subject(self, server: DemandServer) -> Subject:
        return Subject(
            RouterStreams(interval_seconds=0.2, stall_seconds=1.0),
            address=server.address,
            nobody="127.0.0.1:9",
            want=lambda running: server.want("strong", running=running),
            end=server.drain,
            break_off=server.die,
            listeners=lambda: server.listeners,
        )

    @pytest.fixture
    def hasty(self, subject: Subject) -> Subject:
        return replace(subject, routers=RouterStreams(interval_seconds=0.1, stall_seconds=0.4))

    async def test_reports_come_again_when_nothing_changes(self, subject: Subject) -> None:
        async with subject.reports() as reports:
            said = [await following(reports) for _ in range(3)]
        assert said[0] == said[1] == said[2]

    async def test_a_router_that_says_nothing_for_too_long_is_lost(
        self, hasty: Subject, server: DemandServer
    ) -> None:
        async with hasty.reports() as reports:
            await following(reports)
            server.stall()
            with pytest.raises(RouterLost, match=r"nothing heard for 0\.4 s"):
                await to_the_end(reports)

    async def test_a_router_that_never_says_anything_is_lost(
        self, hasty: Subject, server: DemandServer
    ) -> None:
        server.stall()
        async with hasty.reports() as reports:
            with pytest.raises(RouterLost, match="nothing heard"):
                await following(reports)

    async def test_numbers_that_no_router_has_do_not_add_up_beyond_what_keda_takes(
        self, subject: Subject, server: DemandServer
    ) -> None:
        server.want("strong", waiting=2**63 - 1, running=2**63 - 1)
        async with subject.reports() as reports:
            counts = (await following(reports)).demand["tier/strong"]
        assert counts.waiting + counts.running < 2**63 / 1000

    async def test_a_number_below_zero_counts_as_none(self, subject: Subject, server: DemandServer) -> None:
        server.want("strong", waiting=-2, running=3)
        async with subject.reports() as reports:
            assert (await following(reports)).demand["tier/strong"] == Counts(running=3)
