"""What Steersman relies on in the Kubernetes API, asked of the fake one and of a real one."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fakes.kubernetes import POLICIES, FakeKubernetes
from fixtures.real_cluster import Space
from steersman.runtime.kubernetes.api import (
    Change,
    Conflict,
    Event,
    Expired,
    Missing,
    Object,
    Resource,
    Watchable,
)
from steersman.runtime.kubernetes.client import KubernetesApi

SPEC = {"tiers": ["weak", "strong"], "threshold": 0.5}
OTHER = {"tiers": ["weak", "strong"], "threshold": 0.75}
LEASES = Resource("coordination.k8s.io", "v1", "leases")


class World(ABC):
    """An API under test, and somebody who changes what is in it."""

    api: Watchable
    namespace: str

    @abstractmethod
    async def put(self, name: str, spec: Mapping[str, Any]) -> None:
        """Make or change an object."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Delete one."""

    async def named(self, name: str) -> Object:
        listing = await self.api.list(POLICIES, self.namespace)
        (found,) = (each for each in listing.objects if each.name == name)
        return found

    def watch(self, version: str, resource: Resource = POLICIES) -> AsyncGenerator[Event, None]:
        return self.api.watch(resource, self.namespace, version=version)

    async def events(self, version: str, number: int, resource: Resource = POLICIES) -> list[Event]:
        """So many events after a version, bookmarks left out."""
        found: list[Event] = []
        async with asyncio.timeout(20), aclosing(self.watch(version, resource)) as events:
            async for event in events:
                found += [event] if event.change is not Change.BOOKMARK else []
                if len(found) == number:
                    break
        return found


class KubernetesContract:
    """The suite; a subclass says which API is in the `world`."""

    async def test_a_list_tells_what_an_object_is_and_which_generation_of_it(self, world: World) -> None:
        await world.put("listed", SPEC)
        found = await world.named("listed")
        assert (found.namespace, found.name, found.generation) == (world.namespace, "listed", 1)
        assert found.content["spec"] == SPEC
        assert found.uid

    async def test_where_one_object_is_meant_nothing_is_told_of_the_others(self, world: World) -> None:
        alone = replace(POLICIES, name="alone")
        await world.put("beside", SPEC)
        listing = await world.api.list(alone, world.namespace)
        assert listing.objects == ()
        await world.put("beside", OTHER)
        await world.put("alone", SPEC)
        (event,) = await world.events(listing.version, 1, alone)
        assert (event.change, event.object.name) == (Change.ADDED, "alone")
        assert [each.name for each in (await world.api.list(alone, world.namespace)).objects] == ["alone"]

    async def test_a_change_of_the_spec_is_a_new_generation_of_the_same_object(self, world: World) -> None:
        await world.put("changed", SPEC)
        before = await world.named("changed")
        await world.put("changed", OTHER)
        after = await world.named("changed")
        assert (after.generation, after.uid) == (before.generation + 1, before.uid)

    async def test_what_is_deleted_and_made_again_is_another_object(self, world: World) -> None:
        await world.put("again", SPEC)
        before = await world.named("again")
        await world.remove("again")
        await world.put("again", SPEC)
        assert (await world.named("again")).uid != before.uid

    async def test_a_watch_tells_what_happened_after_the_list_in_its_order(self, world: World) -> None:
        version = (await world.api.list(POLICIES, world.namespace)).version
        await world.put("watched", SPEC)
        await world.put("watched", OTHER)
        await world.remove("watched")
        events = await world.events(version, 3)
        assert [event.change for event in events] == [Change.ADDED, Change.MODIFIED, Change.DELETED]
        assert [event.object.content["spec"] for event in events] == [SPEC, OTHER, OTHER]

    async def test_a_watch_is_resumed_after_the_event_seen_last(self, world: World) -> None:
        version = (await world.api.list(POLICIES, world.namespace)).version
        await world.put("resumed", SPEC)
        await world.put("resumed", OTHER)
        (first,) = await world.events(version, 1)
        (second,) = await world.events(first.object.version, 1)
        assert second.object.content["spec"] == OTHER

    async def test_a_version_that_is_not_remembered_has_expired(self, world: World) -> None:
        with pytest.raises(Expired):
            await world.events("1", 1)

    async def test_a_resource_that_the_cluster_does_not_have_is_missing(self, world: World) -> None:
        with pytest.raises(Missing):
            await world.api.list(Resource("steersman.dev", "v1alpha1", "nosuchthings"), world.namespace)


class TestFake(KubernetesContract):
    @pytest.fixture
    def world(self) -> World:
        @dataclass
        class Fake(World):
            api: FakeKubernetes
            namespace: str

            async def put(self, name: str, spec: Mapping[str, Any]) -> None:
                self.api.put(name, spec)

            async def remove(self, name: str) -> None:
                self.api.remove(name)

        api = FakeKubernetes()
        return Fake(api, api.namespace)


@pytest.mark.cluster
class TestReal(KubernetesContract):
    @pytest.fixture
    def world(self, real_api: KubernetesApi, space: Space) -> World:
        @dataclass
        class Real(World):
            api: KubernetesApi
            namespace: str

            async def put(self, name: str, spec: Mapping[str, Any]) -> None:
                assert await asyncio.to_thread(space.apply, policy(name, spec)) == ""

            async def remove(self, name: str) -> None:
                await asyncio.to_thread(space.kubectl, "delete", "routingpolicy", name)

        return Real(real_api, space.name)

    async def test_a_status_is_merged_and_leaves_the_spec_and_its_generation(self, world: World) -> None:
        api, namespace = real(world)
        made = await api.create(POLICIES, namespace, policy("with-status", SPEC))
        await api.patch_status(POLICIES, namespace, "with-status", {"observedGeneration": made.generation})
        await api.patch_status(POLICIES, namespace, "with-status", {"strongShare": 0.25})
        found = await api.read(POLICIES, namespace, "with-status")
        assert found.content["status"] == {"observedGeneration": 1, "strongShare": 0.25}
        assert (found.content["spec"], found.generation) == (SPEC, 1)

    async def test_an_object_is_made_once_and_replaced_only_as_it_was_read(self, world: World) -> None:
        api, namespace = real(world)
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "held"},
            "spec": {"holderIdentity": "a"},
        }
        with pytest.raises(Missing):
            await api.read(LEASES, namespace, "held")
        made = await api.create(LEASES, namespace, lease)
        with pytest.raises(Conflict):
            await api.create(LEASES, namespace, lease)
        await api.replace(LEASES, namespace, {**made.content, "spec": {"holderIdentity": "b"}})
        with pytest.raises(Conflict):
            await api.replace(LEASES, namespace, {**made.content, "spec": {"holderIdentity": "c"}})
        assert (await api.read(LEASES, namespace, "held")).content["spec"] == {"holderIdentity": "b"}


def policy(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "steersman.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def real(world: World) -> tuple[KubernetesApi, str]:
    assert isinstance(world.api, KubernetesApi)
    return world.api, world.namespace
