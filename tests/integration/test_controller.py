"""Two controllers before a real API server: who works, who takes over, and what the statuses come to say.

The processes run on this machine, and so do the routers, which have a policy service and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from fakes.policy_server import PolicyServer, policy_server
from fixtures import callers
from fixtures.controller_process import Controller, controller
from fixtures.cut_line import CutLine
from fixtures.real_cluster import Space
from steersman.controller.model import Report
from steersman.runtime.kubernetes.api import Resource
from unit.controller.examples import held, holds, refuses

if TYPE_CHECKING:
    from steersman.runtime.kubernetes.client import KubernetesApi

pytestmark = pytest.mark.cluster

POLICIES: Final = Resource("steersman.dev", "v1alpha1", "routingpolicies")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
TAKEOVER_SECONDS: Final = 20.0
"""Without a leader after one was killed: 12 s of its Lease, 2 s until the next look, and more on a busy machine."""

until = partial(callers.until, seconds=60)
"""Patient: processes start, and a busy machine is slow."""


@dataclass(frozen=True, slots=True)
class World:
    """Two routers, a policy, and controllers that are started by the test."""

    api: KubernetesApi
    space: Space
    routers: list[PolicyServer]
    policy: str
    uid: str

    @asynccontextmanager
    async def controller(self, kubeconfig: Path | None = None) -> AsyncIterator[Controller]:
        """One more controller of this test's pair."""
        addresses = (router.address for router in self.routers)
        async with controller(
            *addresses,
            KUBERNETES__KUBECONFIG=kubeconfig or self.space.kubeconfig,
            KUBERNETES__NAMESPACE=self.space.name,
            ELECTION__LEASE=self.policy,
        ) as one:
            yield one

    async def status(self) -> Mapping[str, Any]:
        """What the resource says now."""
        content = (await self.api.read(POLICIES, self.space.name, self.policy)).content
        return dict(content.get("status", {}))

    async def becomes(self, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait until something holds of the status."""

        async def it_does() -> bool:
            return holds(await self.status())

        await until(it_does)
        return await self.status()

    async def holder(self) -> str:
        """Who has the Lease."""
        spec = (await self.api.read(LEASES, self.space.name, self.policy)).content["spec"]
        return str(spec.get("holderIdentity", ""))


@pytest.fixture
async def world(
    real_api: KubernetesApi, space: Space, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    name = request.node.name.replace("_", "-")[-50:].strip("-")
    spec = {"tiers": ["weak", "strong"], "threshold": 0.7}
    made = await real_api.create(
        POLICIES,
        space.name,
        {
            "apiVersion": "steersman.dev/v1alpha1",
            "kind": "RoutingPolicy",
            "metadata": {"name": name},
            "spec": spec,
        },
    )
    async with AsyncExitStack() as stack:
        routers = [
            await stack.enter_async_context(policy_server(holds(name, held(1), uid=made.uid)))
            for name in ("a", "b")
        ]
        yield World(real_api, space, routers, name, made.uid)
    await asyncio.to_thread(space.kubectl, "delete", "routingpolicy", name)


def says(status: Mapping[str, Any], type_: str) -> tuple[str, str]:
    """Status and reason of a condition."""
    found = [each for each in status.get("conditions", []) if each["type"] == type_]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def programmed(status: Mapping[str, Any]) -> bool:
    return says(status, "Programmed")[0] == "True"


async def test_the_status_says_what_routers_hold_and_decide(world: World) -> None:
    async with world.controller():
        status = await world.becomes(programmed)
        assert says(status, "Accepted") == ("True", "Accepted")
        assert status["routers"] == {"holding": 2, "total": 2}
        assert status["boundaries"] == [0.7]
        assert status["observedGeneration"] == 1
        assert status["classifier"] == {
            "name": "static_head",
            "version": "1",
            "artefactDigest": "sha256:abc",
        }
        world.routers[0].say(holds("a", held(1, weak=60, strong=20), uid=world.uid))
        world.routers[1].say(holds("b", held(1, weak=10, strong=10), uid=world.uid))
        status = await world.becomes(lambda one: one.get("strongShare") == 0.3)
        assert status["tierShares"] == [
            {"tier": "weak", "wanted": 0.7, "answered": 0.7},
            {"tier": "strong", "wanted": 0.3, "answered": 0.3},
        ]


async def test_a_leader_that_is_killed_is_replaced_and_the_status_goes_on(world: World) -> None:
    async with world.controller() as first:
        await until(first.leads)
        before = await world.becomes(programmed)
        async with world.controller() as second:
            await until(lambda: second.serving("lease"))
            assert not await second.leads()
            await first.kill()
            killed_at = time.monotonic()
            world.routers[1].say(refuses_("b", world.uid))
            await until(second.leads)
            assert time.monotonic() - killed_at < TAKEOVER_SECONDS
            after = await world.becomes(lambda one: says(one, "Accepted") == ("False", "Refused"))
    assert {each["type"]: each["lastTransitionTime"] for each in after["conditions"]} != {
        each["type"]: each["lastTransitionTime"] for each in before["conditions"]
    }


async def test_a_leader_that_is_ended_gives_its_place_to_the_other_at_once(world: World) -> None:
    async with world.controller() as first:
        await until(first.leads)
        async with world.controller() as second:
            await until(lambda: second.serving("lease"))
            assert await first.terminate() == 0
            ended_at = time.monotonic()
            await until(second.leads)
            assert time.monotonic() - ended_at < TAKEOVER_SECONDS / 3


async def test_a_leader_that_is_cut_off_stops_before_the_other_begins(
    world: World, line: tuple[CutLine, Path]
) -> None:
    async with world.controller(line[1]) as first:
        await until(first.leads)
        async with world.controller() as second:
            await until(lambda: second.serving("lease"))
            line[0].cut()
            cut_at = time.monotonic()
            while not await second.leads():
                assert time.monotonic() - cut_at < TAKEOVER_SECONDS
                await asyncio.sleep(0.1)
            assert not await first.leads()
            assert not await first.serving("lease")
            assert await first.serving("")
            line[0].mend()
            await until(lambda: first.serving("lease"))
            assert [await one.leads() for one in (first, second)] == [False, True]


async def test_the_last_one_that_is_ended_leaves_the_lease_to_nobody(world: World) -> None:
    async with world.controller() as one:
        await until(one.leads)
        assert await world.holder()
        assert await one.terminate() == 0
    assert await world.holder() == ""


async def test_who_does_not_lead_writes_nothing(world: World) -> None:
    async with world.controller() as first:
        await until(first.leads)
        await world.becomes(programmed)
        async with world.controller() as second:
            await until(lambda: second.serving("lease"))
            assert await first.shows('steersman_controller_reconciles_total{outcome="written"} 1.0')
            assert await second.shows('steersman_controller_reconciles_total{outcome="written"} 0.0')
            assert not await second.shows("steersman_controller_routers")


async def test_while_nothing_changes_nothing_is_written(world: World) -> None:
    async with world.controller() as one:
        await world.becomes(programmed)
        version = (await world.api.read(POLICIES, world.space.name, world.policy)).version
        await until(lambda: one.shows('steersman_controller_reconciles_total{outcome="unchanged"} 9'))
    assert (await world.api.read(POLICIES, world.space.name, world.policy)).version == version


async def test_a_router_that_goes_silent_is_told_of_and_so_is_its_return(world: World) -> None:
    async with world.controller():
        await world.becomes(programmed)
        await world.routers[1].die()
        status = await world.becomes(lambda one: says(one, "Programmed") == ("Unknown", "RoutersSilent"))
        assert "1 not heard for 5 s" in str(status["conditions"])
        await world.routers[1].start(holds("another", held(1), uid=world.uid))
        await world.becomes(programmed)


async def test_a_spec_that_changes_is_programmed_once_routers_hold_it(world: World) -> None:
    async with world.controller():
        await world.becomes(programmed)
        changed = ("--type=merge", '--patch={"spec": {"threshold": 0.5}}')
        await asyncio.to_thread(world.space.kubectl, "patch", "routingpolicy", world.policy, *changed)
        status = await world.becomes(lambda one: one.get("observedGeneration") == 2)
        assert says(status, "Programmed") == ("False", "Pending")
        for router, name in zip(world.routers, ("a", "b"), strict=True):
            router.say(holds(name, held(2, version="v5"), uid=world.uid))
        await world.becomes(programmed)


async def test_a_refusal_is_told_in_the_status_and_as_an_event(world: World) -> None:
    async with world.controller():
        await world.becomes(programmed)
        world.routers[0].say(refuses_("a", world.uid))
        status = await world.becomes(lambda one: says(one, "Accepted")[0] == "False")
        assert "there is no tier gold" in str(status["conditions"])

        async def is_recorded() -> bool:
            events = await asyncio.to_thread(world.space.kubectl, "get", "events", "--output=wide")
            return any(
                "Refused" in line and world.policy in line and "there is no tier gold" in line
                for line in events.stdout.splitlines()
            )

        await until(is_recorded)


def refuses_(replica: str, uid: str) -> Report:
    """The report of a router that cannot use the first generation of a resource."""
    refusing = refuses(replica, generation=1)
    return Report(replica, refusing.classifier, {}, {uid: next(iter(refusing.refused.values()))})
