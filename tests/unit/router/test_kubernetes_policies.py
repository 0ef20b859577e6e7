"""RoutingPolicy resources, from the Kubernetes API to policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from fakes.kubernetes import FakeKubernetes
from steersman.router.adapters.kubernetes_policies import follow_policies
from steersman.router.merging import Offer
from steersman.router.model import Fallback, Policy, PolicyResource, Refusal

SPEC = {"tiers": ["weak", "strong"], "threshold": 0.5, "fallback": "Strong", "tierFallback": False}


class World:
    """What is taken of the resources of a fake API."""

    def __init__(self) -> None:
        self.api = FakeKubernetes()
        self._taken: asyncio.Queue[Sequence[Offer]] = asyncio.Queue()

    async def take(self, offers: Sequence[Offer]) -> None:
        await self._taken.put(offers)

    async def next(self) -> Sequence[Offer]:
        async with asyncio.timeout(5):
            return await self._taken.get()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    reflector = follow_policies(world.api, world.api.namespace, take=world.take, on_error=lambda _: None)
    task = asyncio.create_task(reflector.follow())
    yield world
    task.cancel()


async def test_a_resource_is_a_policy_that_knows_where_it_comes_from(world: World) -> None:
    assert await world.next() == []
    made = world.api.put("auto", SPEC)
    (offer,) = await world.next()
    assert isinstance(offer, Policy)
    assert (offer.name, offer.tiers, offer.boundaries) == ("auto", ("weak", "strong"), (0.5,))
    assert (offer.fallback, offer.tier_fallback) == (Fallback.STRONG, False)
    assert offer.resource == PolicyResource("models", "auto", made.uid, 1)


async def test_a_change_is_told_with_all_that_there_is_in_the_order_of_names(world: World) -> None:
    await world.next()
    world.api.put("b", SPEC)
    await world.next()
    world.api.put("a", SPEC)
    assert [offer.resource and offer.resource.name for offer in await world.next()] == ["a", "b"]
    world.api.remove("b")
    assert [offer.resource and offer.resource.name for offer in await world.next()] == ["a"]


async def test_one_that_cannot_be_read_is_refused_with_its_generation_and_every_fault(world: World) -> None:
    await world.next()
    world.api.put("auto", SPEC)
    await world.next()
    made = world.api.put("auto", {"tiers": ["weak", "strong"], "treshold": 0.5, "fallback": "Coin"})
    (offer,) = await world.next()
    assert isinstance(offer, Refusal)
    assert offer.resource == PolicyResource("models", "auto", made.uid, 2)
    assert "treshold" in offer.reason
    assert "fallback" in offer.reason


async def test_a_resource_without_a_spec_is_refused(world: World) -> None:
    await world.next()
    world.api.put_content("auto", {"metadata": {"name": "auto"}})
    (offer,) = await world.next()
    assert isinstance(offer, Refusal)
    assert "tiers" in offer.reason
