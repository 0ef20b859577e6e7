"""Routers that come and go, as the addresses behind their name do: the scaler in this process, the rest on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import orjson
import pytest

from fakes.addresses import FakeAddresses
from fakes.api_server import fake_api_server
from fakes.demand_server import DemandServer, demand_server
from fakes.endpoints import an_endpoint, an_endpoint_slice
from fixtures.scaler_process import Keda, asking, until
from steersman.runtime.settings import Kubernetes, MetricsServer
from steersman.scaler.app import app
from steersman.scaler.settings import Counting, KedaServer, Routers, ScalerSettings

SETTINGS = ScalerSettings(
    grpc=KedaServer(address="127.0.0.1:0"),
    metrics=MetricsServer(address="127.0.0.1:0"),
    routers=Routers(
        target="routers",
        refresh_seconds=0.05,
        interval_seconds=0.2,
        stall_seconds=0.6,
        longest_pause_seconds=0.2,
    ),
    counting=Counting(hold_seconds=600, settle_seconds=0.5),
)
"""Holds what it has heard for longer than any test takes."""


@pytest.fixture
async def routers() -> AsyncIterator[list[DemandServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(demand_server()) for _ in range(2)]


@pytest.fixture
def source(routers: list[DemandServer]) -> FakeAddresses:
    return FakeAddresses([router.address for router in routers])


@pytest.fixture
async def keda(source: FakeAddresses) -> AsyncIterator[Keda]:
    async with app(SETTINGS, source=source) as addresses, asking(addresses.grpc) as keda:
        await until(lambda: keda.serving("routers"))
        yield keda


async def becomes(keda: Keda, demand: float) -> None:
    async def is_so() -> bool:
        return await keda.demand() == demand

    await until(is_so)


async def becomes_known(keda: Keda, demand: float) -> None:
    """The same where the scaler has only begun to listen: until it has heard all that it has found, it does not say."""

    async def is_so() -> bool:
        try:
            return await keda.demand() == demand
        except grpc.aio.AioRpcError as refusal:
            if refusal.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False

    await until(is_so)


async def test_demand_of_a_router_that_has_left_is_dropped_at_once(
    keda: Keda, source: FakeAddresses, routers: list[DemandServer]
) -> None:
    routers[0].want("strong", running=7)
    routers[1].want("strong", running=2)
    await becomes(keda, 9)
    await routers[0].drain()
    source.found = [routers[1].address]
    await becomes(keda, 2)


async def test_demand_of_a_router_whose_address_is_gone_counts_as_long_as_it_reports(
    keda: Keda, source: FakeAddresses, routers: list[DemandServer]
) -> None:
    routers[0].want("strong", running=7)
    await becomes(keda, 7)
    source.found = [routers[1].address]
    routers[0].want("strong", running=6)
    await becomes(keda, 6)
    await routers[0].die()
    await becomes(keda, 0)


async def test_a_router_that_has_gone_but_is_still_known_keeps_its_last_word(
    keda: Keda, source: FakeAddresses, routers: list[DemandServer]
) -> None:
    routers[0].want("strong", running=7)
    await becomes(keda, 7)
    await routers[0].drain()
    looked = len(source.asked)
    routers[1].want("strong", running=1)
    await becomes(keda, 8)

    async def looked_again() -> bool:
        return len(source.asked) > looked + 3

    await until(looked_again)
    assert await keda.demand() == 8


async def test_a_router_that_comes_is_heard(
    keda: Keda, source: FakeAddresses, routers: list[DemandServer]
) -> None:
    async with demand_server() as third:
        third.want("strong", waiting=3)
        source.found = [*source.found, third.address]
        await becomes_known(keda, 3)
        routers[0].want("strong", waiting=2)
        await becomes(keda, 5)


async def test_routers_stay_known_while_names_cannot_be_resolved(
    keda: Keda, source: FakeAddresses, routers: list[DemandServer]
) -> None:
    source.down = True
    routers[0].want("strong", running=4)
    await becomes(keda, 4)
    await routers[0].restart()
    routers[0].want("strong", running=1)
    await becomes(keda, 1)


async def test_before_names_can_be_resolved_keda_gets_an_error(source: FakeAddresses) -> None:
    source.down = True
    async with app(SETTINGS, source=source) as addresses, asking(addresses.grpc) as keda:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await keda.demand()
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        source.down = False
        await until(lambda: keda.serving("routers"))
        assert await keda.demand() == 0


async def test_in_a_cluster_routers_are_those_of_the_endpoint_slices(
    routers: list[DemandServer], tmp_path: Path
) -> None:
    host, _, port = routers[0].address.rpartition(":")
    found = an_endpoint_slice("router", an_endpoint(host, ready=True))
    found["metadata"] |= {"name": "router-1", "resourceVersion": "1"}
    async with fake_api_server(tmp_path) as (server, kubeconfig):
        server.pieces = [orjson.dumps({"metadata": {"resourceVersion": "1"}, "items": [found]})]
        settings = SETTINGS.model_copy(
            update={
                "routers": SETTINGS.routers.model_copy(update={"target": f"k8s:///router:{port}"}),
                "kubernetes": Kubernetes(endpoint_slices=True, namespace="models", kubeconfig=kubeconfig),
            }
        )
        async with app(settings) as addresses, asking(addresses.grpc) as keda:
            await until(lambda: keda.serving("routers"))
            routers[0].want("strong", running=3)
            await becomes(keda, 3)
        method, path, _ = server.asked[0]
    assert method == "GET"
    assert path.startswith("/apis/discovery.k8s.io/v1/namespaces/models/endpointslices")
