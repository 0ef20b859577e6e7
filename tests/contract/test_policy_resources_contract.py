"""What the controller relies on in RoutingPolicy resources, asked of the fake ones and of a real Kubernetes."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fakes.policy_resources import FakePolicyResources
from fixtures.real_cluster import Space
from steersman.controller.adapters.resources import KubernetesPolicies
from steersman.controller.model import (
    ACCEPTED,
    Classifier,
    Condition,
    PolicyResource,
    Status,
    TierShare,
    Truth,
)
from steersman.controller.ports import PolicyResources
from steersman.runtime.kubernetes.api import Missing

if TYPE_CHECKING:
    from steersman.runtime.kubernetes.client import KubernetesApi

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FULL = Status(
    1,
    (Condition(ACCEPTED, Truth.TRUE, "Accepted", "generation 1 is in use", 1, NOON),),
    holding=2,
    total=3,
    shares=(TierShare("weak", 0.7, 0.75), TierShare("strong", 0.3, 0.25)),
    boundaries=(0.7,),
    classifier=Classifier("static_head", "1", "sha256:abc"),
    observed_at=NOON,
)
SPARE = Status(1, FULL.conditions)


@dataclass
class World(ABC):
    """Resources under test, and somebody who makes, changes and deletes them."""

    resources: PolicyResources
    told: Sequence[PolicyResource] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @abstractmethod
    async def put(self, name: str, threshold: float) -> None:
        """Make or change one."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Delete one."""

    @abstractmethod
    async def events(self, name: str) -> list[tuple[str, str, bool]]:
        """What was recorded about one: reason, message, and whether it is a warning."""

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """`told` is kept up to date while the context lasts."""

        def apply(resources: Sequence[PolicyResource]) -> None:
            self.told = resources
            self._news.set()

        following = asyncio.create_task(self.resources.follow(apply))
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def until(self, name: str, holds: Callable[[PolicyResource | None], bool]) -> PolicyResource | None:
        """Wait until something holds of what is told about a resource, which is None where there is none."""
        async with asyncio.timeout(20):
            while True:
                self._news.clear()
                found = next((each for each in self.told or () if each.name == name), None)
                if self.told is not None and holds(found):
                    return found
                await self._news.wait()

    async def made(self, name: str) -> PolicyResource:
        await self.put(name, 0.7)
        found = await self.until(name, lambda one: one is not None)
        assert found is not None
        return found


class PolicyResourcesContract:
    """The suite; a subclass says which resources are in the `world`."""

    async def test_a_resource_is_told_with_what_tells_it_from_others(self, world: World) -> None:
        async with world.followed():
            made = await world.made("told")
        assert made.uid
        assert (made.name, made.generation, made.status) == ("told", 1, None)

    async def test_a_changed_spec_is_another_generation_of_the_same_resource(self, world: World) -> None:
        async with world.followed():
            made = await world.made("changed")
            await world.put("changed", 0.5)
            changed = await world.until("changed", lambda one: one is not None and one.generation == 2)
        assert changed is not None
        assert (changed.uid, changed.version != made.version) == (made.uid, True)

    async def test_a_resource_that_is_deleted_is_told_no_more(self, world: World) -> None:
        async with world.followed():
            await world.made("deleted")
            await world.delete("deleted")
            await world.until("deleted", lambda one: one is None)

    async def test_a_status_comes_back_as_it_was_written_and_changes_no_generation(
        self, world: World
    ) -> None:
        async with world.followed():
            made = await world.made("status")
            await world.resources.write_status(made, FULL)
            told = await world.until("status", lambda one: one is not None and one.status is not None)
        assert told is not None
        assert (told.status, told.generation) == (FULL, 1)
        assert told.version != made.version

    async def test_what_is_not_known_any_more_is_gone_from_the_status(self, world: World) -> None:
        async with world.followed():
            made = await world.made("gone")
            await world.resources.write_status(made, FULL)
            await world.until("gone", lambda one: one is not None and one.status == FULL)
            await world.resources.write_status(made, SPARE)
            await world.until("gone", lambda one: one is not None and one.status == SPARE)

    async def test_the_status_of_a_resource_that_is_gone_cannot_be_written(self, world: World) -> None:
        nowhere = PolicyResource("models", "nowhere", "uid", 1)
        with pytest.raises(Missing):
            await world.resources.write_status(nowhere, FULL)

    async def test_an_event_is_recorded_about_a_resource(self, world: World) -> None:
        async with world.followed():
            made = await world.made("event")
        message = "generation 1 is refused by 1 of 2 routers: " + "é" * 2000
        await world.resources.announce(made, reason="Refused", message=message, warning=True)
        ((reason, said, warning),) = await world.events("event")
        assert (reason, warning) == ("Refused", True)
        assert message.startswith(said)


class TestFake(PolicyResourcesContract):
    @pytest.fixture
    def world(self) -> World:
        @dataclass
        class Fake(World):
            resources: FakePolicyResources = field(default_factory=FakePolicyResources)

            async def put(self, name: str, threshold: float) -> None:
                del threshold
                before = self.resources.resources.get(name)
                generation, version = (before.generation + 1, f"{before.version}+") if before else (1, "1")
                made = PolicyResource("models", name, name, generation, version)
                self.resources.put(replace(made, status=before.status if before else None))

            async def delete(self, name: str) -> None:
                self.resources.delete(self.resources.resources[name])

            async def events(self, name: str) -> list[tuple[str, str, bool]]:
                del name
                return self.resources.events

        return Fake()


@pytest.mark.cluster
class TestReal(PolicyResourcesContract):
    @pytest.fixture
    def world(self, real_api: KubernetesApi, space: Space) -> World:
        @dataclass
        class Real(World):
            async def put(self, name: str, threshold: float) -> None:
                assert await asyncio.to_thread(space.apply, policy(name, threshold)) == ""

            async def delete(self, name: str) -> None:
                await asyncio.to_thread(space.kubectl, "delete", "routingpolicy", name)

            async def events(self, name: str) -> list[tuple[str, str, bool]]:
                selector = f"--field-selector=involvedObject.name={name},involvedObject.kind=RoutingPolicy"
                shown = await asyncio.to_thread(space.kubectl, "get", "events", selector, "--output=json")
                return [
                    (each["reason"], each["message"], each["type"] == "Warning")
                    for each in json.loads(shown.stdout)["items"]
                ]

        return Real(KubernetesPolicies(real_api, space.name, "test", lambda: None))


def policy(name: str, threshold: float) -> dict[str, Any]:
    return {
        "apiVersion": "steersman.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": name},
        "spec": {"tiers": ["weak", "strong"], "threshold": threshold},
    }
