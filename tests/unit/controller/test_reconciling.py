"""What the leader writes, and when, with resources and routers in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from fakes.addresses import FakeAddresses
from fakes.clock import FakeClock
from fakes.policy_resources import FakePolicyResources
from fakes.router_reports import FakeRouterReports
from steersman.controller.model import ACCEPTED, PROGRAMMED, Report, Status
from steersman.controller.polling import Polling
from steersman.controller.reconciling import Pace, Reconciling
from steersman.controller.routers import Routers, Rules, View
from steersman.runtime.kubernetes.api import Rejected, Unreachable
from unit.controller.examples import NOW, UID, held, holds, refuses, resource


@dataclass
class Seen:
    """Implements `steersman.controller.reconciling.Observer`."""

    outcomes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    view: View = field(default_factory=View)

    def saw(self, view: View, statuses: Sequence[Status]) -> None:
        del statuses
        self.view = view

    def reconciled(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def failed(self, operation: str) -> None:
        self.failures.append(operation)


@dataclass
class World:
    """One leader, two routers that hold the policy, and time that only the test lets pass."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(0.0))
    source: FakeAddresses = field(default_factory=lambda: FakeAddresses(("a:1", "b:1")))
    reports: FakeRouterReports = field(default_factory=FakeRouterReports)
    resources: FakePolicyResources = field(default_factory=FakePolicyResources)
    seen: Seen = field(default_factory=Seen)
    reconciling: Reconciling = field(init=False)

    def __post_init__(self) -> None:
        self.reports.reports = {"a:1": holds("a"), "b:1": holds("b")}
        self.reconciling = Reconciling(
            self.resources,
            Polling("routers", self.source, self.reports, concurrency=8),
            Routers(Rules(hold=30.0, window=300.0), clock=self.clock),
            hold_seconds=30.0,
            pace=Pace(round=5.0, eager=1.0),
            observer=self.seen,
            now=lambda: NOW + timedelta(seconds=self.clock.now),
            clock=self.clock,
        )
        self.resources.put(resource())

    async def round(self, *, after: float = 5.0) -> bool:
        """Let time pass, and see to everything once."""
        self.clock.advance(after)
        if not self.resources.mute:
            self.reconciling.apply(list(self.resources.resources.values()))
        return await self.reconciling.round()

    def condition(self, type_: str) -> str:
        status = self.resources.status(UID)
        condition = status.condition(type_) if status else None
        return condition.truth.value if condition else ""


@pytest.fixture
def world() -> World:
    return World()


async def test_a_resource_gets_a_status_and_keeps_it_while_nothing_changes(world: World) -> None:
    for _ in range(50):
        assert not await world.round()
    assert world.resources.writes == 1
    assert (world.condition(PROGRAMMED), world.condition(ACCEPTED)) == ("True", "True")
    assert world.seen.outcomes == ["written", *["unchanged"] * 49]


async def test_before_resources_are_known_routers_are_asked_and_nothing_is_written(world: World) -> None:
    await world.reconciling.round()
    assert sorted(world.reports.asked) == ["a:1", "b:1"]
    assert world.resources.writes == 0


async def test_shares_that_drift_are_written_now_and_then(world: World) -> None:
    for decided in range(0, 700, 10):
        world.reports.reports["a:1"] = holds("a", held(weak=decided, strong=decided**2 // 1000))
        await world.round()
    written = world.resources.writes
    assert 700 / 10 * 5 / 35 <= written <= 700 / 10 * 5 / 30 + 1


async def test_a_policy_that_routers_are_about_to_take_up_is_looked_at_again_soon(world: World) -> None:
    world.reports.reports["b:1"] = Report("b")
    assert await world.round()
    assert world.condition(PROGRAMMED) == "False"
    world.reports.reports["b:1"] = holds("b")
    assert not await world.round()
    assert world.condition(PROGRAMMED) == "True"


async def test_a_refusal_is_an_event_of_its_own_once(world: World) -> None:
    await world.round()
    world.reports.reports["b:1"] = refuses("b")
    for _ in range(3):
        await world.round()
    world.reports.reports["b:1"] = holds("b")
    await world.round()
    assert [(reason, warning) for reason, _, warning in world.resources.events] == [
        ("Accepted", False),
        ("Refused", True),
        ("Accepted", False),
    ]
    assert "there is no tier gold" in world.resources.events[1][1]


async def test_a_router_that_goes_silent_counts_for_a_while_and_then_its_silence_is_told(
    world: World,
) -> None:
    await world.round()
    del world.reports.reports["b:1"]
    for _ in range(6):
        await world.round()
        assert world.condition(PROGRAMMED) == "True"
    await world.round()
    assert world.condition(PROGRAMMED) == "Unknown"
    assert world.seen.view.silent == 1


async def test_routers_that_cannot_be_looked_for_are_those_that_are_known(world: World) -> None:
    await world.round()
    world.source.down = True
    for _ in range(10):
        await world.round()
    assert world.condition(PROGRAMMED) == "True"


async def test_what_was_written_is_not_written_again_before_it_has_come_back(world: World) -> None:
    await world.round()
    world.resources.mute = True
    world.reports.reports["b:1"] = refuses("b")
    for _ in range(3):
        await world.round()
    assert world.resources.writes == 2
    assert len(world.resources.events) == 2


async def test_what_comes_back_before_the_write_is_over_is_what_counts(world: World) -> None:
    await world.round()
    world.reconciling.apply([replace(resource(5), version="300")])
    world.reports.reports = {"a:1": holds("a", held(5)), "b:1": holds("b", held(5))}
    world.resources.mute = True
    await world.round()
    status = world.resources.status(UID)
    assert status is not None
    assert status.generation == 5


async def test_what_somebody_else_did_to_a_status_is_put_right(world: World) -> None:
    await world.round()
    world.resources.put(replace(resource(), version="200", status=Status(4)))
    await world.round()
    assert world.condition(PROGRAMMED) == "True"


@pytest.mark.parametrize(
    ("trouble", "tried"), [(Unreachable("nobody answers"), "all"), (Rejected("403: may not"), "each")]
)
async def test_what_is_not_taken_is_tried_again_ever_less_often(
    world: World, trouble: Rejected | Unreachable, tried: str
) -> None:
    world.resources.put(replace(resource(), uid="uid-2", name="other"))
    world.resources.trouble = trouble
    for _ in range(120):
        await world.round()
    per_resource = 1 if tried == "each" else 0.5
    assert 10 * per_resource <= world.seen.outcomes.count("failed") / 2 <= 40 * per_resource
    assert set(world.seen.failures) == {"status"}
    world.resources.trouble = None
    for _ in range(13):
        await world.round()
    assert world.condition(PROGRAMMED) == "True"
    assert world.resources.writes == 2


async def test_a_resource_that_was_deleted_meanwhile_is_no_failure(world: World) -> None:
    world.reconciling.apply([resource()])
    world.resources.resources.clear()
    await world.reconciling.round()
    assert (world.seen.outcomes, world.seen.failures) == (["gone"], [])


async def test_no_more_routers_are_asked_at_once_than_allowed(world: World) -> None:
    world.source.found = [f"r{n}:1" for n in range(50)]
    await world.round()
    assert len(world.reports.asked) == 50
    assert world.reports.asked_at_once == 8


async def test_a_new_spec_makes_the_next_round_come_at_once(world: World) -> None:
    world.reconciling.pace = Pace(round=3600.0)
    working = asyncio.create_task(world.reconciling.run())
    try:
        await _until(lambda: world.condition(PROGRAMMED) == "True")
        world.resources.put(resource(5, world.resources.status(UID)))
        world.reports.reports = {"a:1": holds("a", held(5)), "b:1": holds("b", held(5))}
        await _until(lambda: (status := world.resources.status(UID)) is not None and status.generation == 5)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is written is read back, as a user would
            await asyncio.sleep(0.01)
