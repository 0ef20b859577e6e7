"""A router's policies in a real cluster: taken, changed, refused, gone, and kept while the API server is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from fixtures.callers import Caller, metric, until
from fixtures.cut_line import CutLine
from fixtures.real_cluster import Space
from fixtures.router_in_cluster import router_in_cluster
from fixtures.router_process import NOWHERE, behind, policies, write
from steersman.api.v1 import policy_service_pb2 as pb, policy_service_pb2_grpc

pytestmark = pytest.mark.cluster


@dataclass(frozen=True, slots=True)
class Running:
    """A router in a cluster, and the line between them."""

    caller: Caller
    metrics: str
    policy_file: Path
    line: CutLine

    async def report(self) -> pb.ReportPoliciesResponse:
        stub = policy_service_pb2_grpc.PolicyServiceStub(self.caller.channel)
        report: pb.ReportPoliciesResponse = await stub.ReportPolicies(pb.ReportPoliciesRequest(), timeout=10)
        return report

    async def in_force(self) -> dict[str, tuple[int, float]]:
        """Generation, 0 for the file, and threshold of each policy."""
        return {
            policy.name: (policy.resource.generation, policy.boundaries[0])
            for policy in (await self.report()).policies
        }

    async def until_in_force(self, name: str, generation: int, threshold: float) -> None:
        async def holds() -> bool:
            return (await self.in_force()).get(name) == (generation, threshold)

        await until(holds, seconds=30)


@asynccontextmanager
async def router(space: Space, line: CutLine, kubeconfig: Path, folder: Path) -> AsyncIterator[Running]:
    async with (
        router_in_cluster(space, folder, kubeconfig=kubeconfig) as one,
        grpc.aio.insecure_channel(one.grpc) as channel,
    ):
        yield Running(Caller(channel), one.metrics, one.policy_file, line)


@pytest.fixture
async def running(space: Space, line: tuple[CutLine, Path], tmp_path: Path) -> AsyncIterator[Running]:
    space.kubectl("delete", "routingpolicies", "--all")
    async with router(space, *line, tmp_path) as running:
        yield running


async def apply(space: Space, threshold: float, *, name: str = "auto", **spec: Any) -> None:
    content = {
        "apiVersion": "steersman.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": name},
        "spec": {"tiers": ["weak", "strong"], "threshold": threshold, **spec},
    }
    assert await asyncio.to_thread(space.apply, content) == ""


async def test_a_resource_overrides_the_file_until_it_is_deleted(space: Space, running: Running) -> None:
    assert await running.in_force() == {"auto": (0, 0.5)}
    await apply(space, 0.75)
    await running.until_in_force("auto", 1, 0.75)
    assert list((await running.caller.route()).boundaries) == [0.75]
    await apply(space, 0.875)
    await running.until_in_force("auto", 2, 0.875)
    await asyncio.to_thread(space.kubectl, "delete", "routingpolicy", "auto")
    await running.until_in_force("auto", 0, 0.5)


async def test_a_resource_of_a_new_name_is_a_model_that_can_be_asked_for(
    space: Space, running: Running
) -> None:
    await apply(space, 0.25, name="careful")
    await running.until_in_force("careful", 1, 0.25)
    decision = await running.caller.route(model="careful")
    assert (decision.policy, list(decision.boundaries)) == ("careful", [0.25])


async def test_one_with_a_tier_that_the_router_lacks_is_reported_and_the_older_stays(
    space: Space, running: Running
) -> None:
    await apply(space, 0.75)
    await running.until_in_force("auto", 1, 0.75)
    await apply(space, 0.25, tiers=["weak", "mighty"])

    async def refused() -> bool:
        return len((await running.report()).refused) == 1

    await until(refused)
    (told,) = (await running.report()).refused
    assert (told.resource.generation, told.generation_in_force) == (2, 1)
    assert told.reason == "there is no tier mighty; there are weak, strong"
    assert await running.in_force() == {"auto": (1, 0.75)}
    assert await metric(running.metrics, "steersman_policies", source="refused") == 1


async def test_policies_stay_while_the_api_server_is_away_and_changes_are_caught_up_with(
    space: Space, running: Running
) -> None:
    await apply(space, 0.75)
    await running.until_in_force("auto", 1, 0.75)
    running.line.cut()
    await apply(space, 0.875)
    file = policies(behind(NOWHERE), behind(NOWHERE), threshold=0.125)
    file["policies"]["another"] = file["policies"]["auto"]
    write(running.policy_file, file)
    await running.until_in_force("another", 0, 0.125)
    assert (await running.in_force())["auto"] == (1, 0.75)
    assert list((await running.caller.route()).boundaries) == [0.75]
    assert await metric(running.metrics, "steersman_kubernetes_errors_total", reason="UNREACHABLE") > 0
    running.line.mend()
    await running.until_in_force("auto", 2, 0.875)


async def test_a_router_that_starts_while_the_api_server_is_away_decides_by_the_file(
    space: Space, line: tuple[CutLine, Path], tmp_path: Path
) -> None:
    await apply(space, 0.75)
    line[0].cut()
    async with router(space, *line, tmp_path) as running:
        assert await running.in_force() == {"auto": (0, 0.5)}
        line[0].mend()
        await running.until_in_force("auto", (await _generation(space)), 0.75)


async def _generation(space: Space) -> int:
    shown = await asyncio.to_thread(space.kubectl, "get", "routingpolicy", "auto", "--output=json")
    generation: int = yaml.safe_load(shown.stdout)["metadata"]["generation"]
    return generation


async def test_what_the_policies_decide_is_counted(space: Space, running: Running) -> None:
    await apply(space, 0.0)
    await running.until_in_force("auto", 1, 0.0)
    for _ in range(3):
        await running.caller.route()
    await running.caller.route(threshold=1.0)
    await running.caller.route(model="weak")
    (policy,) = (await running.report()).policies
    assert [(tier.tier, tier.wanted_total, tier.answered_total) for tier in policy.tiers] == [
        ("weak", 0, 0),
        ("strong", 3, 3),
    ]
