"""The controller and a real router over one real API server: what the one decides by, the other tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from fixtures.callers import Caller, until
from fixtures.controller_process import controller
from fixtures.real_cluster import Space
from fixtures.router_in_cluster import router_in_cluster

pytestmark = pytest.mark.cluster


@dataclass(frozen=True, slots=True)
class World:
    """A router that has neither classifier nor backends, and a controller that asks it."""

    space: Space
    caller: Caller

    async def apply(self, name: str, *tiers: str) -> None:
        """Make a policy."""
        content = {
            "apiVersion": "steersman.dev/v1alpha1",
            "kind": "RoutingPolicy",
            "metadata": {"name": name},
            "spec": {"tiers": tiers, "threshold": 0.5},
        }
        assert await asyncio.to_thread(self.space.apply, content) == ""

    async def becomes(self, name: str, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait until something holds of a policy's status."""
        seen: dict[str, Any] = {}

        async def it_does() -> bool:
            shown = await asyncio.to_thread(self.space.kubectl, "get", "routingpolicy", name, "--output=json")
            seen.update(json.loads(shown.stdout).get("status", {}))
            return holds(seen)

        await until(it_does, seconds=60)
        return seen


def message(status: Mapping[str, Any], type_: str, truth: str) -> str:
    """What a condition says, where its status is this one."""
    found = [
        each["message"]
        for each in status.get("conditions", [])
        if (each["type"], each["status"]) == (type_, truth)
    ]
    return str(found[0]) if found else ""


@pytest.fixture
async def world(space: Space, tmp_path: Path) -> AsyncIterator[World]:
    async with router_in_cluster(space, tmp_path) as router:
        asked = controller(
            router.grpc,
            KUBERNETES__KUBECONFIG=space.kubeconfig,
            KUBERNETES__NAMESPACE=space.name,
            ELECTION__LEASE="and-router",
        )
        async with grpc.aio.insecure_channel(router.grpc) as channel, asked as one:
            yield World(space, Caller(channel))
            assert await one.terminate() == 0  # so that the next test need not wait for the Lease


async def test_what_a_router_decided_by_a_policy_is_its_status(world: World) -> None:
    await world.apply("decided", "weak", "strong")
    status = await world.becomes("decided", lambda one: bool(message(one, "Programmed", "True")))
    assert message(status, "Programmed", "True") == "1 of 1 router holds generation 1"
    assert status["boundaries"] == [0.5]
    decisions = [await world.caller.route(f"question {n}", model="decided") for n in range(50)]
    share = sum(decision.tier == "strong" for decision in decisions) / 50
    assert 0 < share < 1
    status = await world.becomes("decided", lambda one: one.get("strongShare") == round(share, 3))
    assert [each["tier"] for each in status["tierShares"]] == ["weak", "strong"]


async def test_what_a_router_cannot_use_is_told_in_its_own_words(world: World) -> None:
    await world.apply("golden", "weak", "gold")
    status = await world.becomes("golden", lambda one: bool(message(one, "Accepted", "False")))
    assert "refused by 1 of 1 routers: there is no tier gold" in message(status, "Accepted", "False")
