"""What a router takes from the cluster that it runs in, as its settings say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from fakes.endpoints import an_endpoint, an_endpoint_slice
from fakes.kubernetes import GONE, FakeKubernetes
from steersman.router.cluster import Cluster, cluster_api
from steersman.router.merging import Offer
from steersman.router.settings import Identity, Kubernetes
from steersman.runtime.addresses import AddressLookup
from steersman.runtime.kubernetes.endpoints import ENDPOINT_SLICES
from steersman.runtime.kubernetes.metrics import KubernetesMetrics
from steersman.runtime.tasks import BackgroundTasks

BOTH = Kubernetes(policies=True, endpoint_slices=True, namespace="models", start_seconds=5.0)
HASTY = BOTH.model_copy(update={"start_seconds": 0.01})


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def tasks() -> AsyncIterator[BackgroundTasks]:
    async with BackgroundTasks() as tasks:
        yield tasks


def on(
    api: FakeKubernetes | None, settings: Kubernetes, tasks: BackgroundTasks, registry: CollectorRegistry
) -> Cluster:
    return Cluster(api, settings, tasks, KubernetesMetrics(registry))


async def test_the_resources_that_there_are_have_been_taken_before_the_router_goes_on(
    tasks: BackgroundTasks, registry: CollectorRegistry
) -> None:
    api, taken = FakeKubernetes(), list[Sequence[Offer]]()
    api.put("auto", {"tiers": ["weak"]})

    async def take(offers: Sequence[Offer]) -> None:
        taken.append(offers)

    await on(api, BOTH, tasks, registry).follow_policies(take)
    assert [[offer.resource and offer.resource.name for offer in offers] for offers in taken] == [["auto"]]


async def test_ready_pods_are_known_before_the_router_goes_on(
    tasks: BackgroundTasks, registry: CollectorRegistry
) -> None:
    api = FakeKubernetes(ENDPOINT_SLICES)
    api.put_content("weak-1", an_endpoint_slice("weak", an_endpoint("10.0.0.1")))
    source = await on(api, BOTH, tasks, registry).addresses()
    assert await source.addresses("k8s:///weak:9000") == ["10.0.0.1:9000"]


async def test_an_api_server_that_is_away_is_not_waited_for_long_and_is_measured(
    tasks: BackgroundTasks, registry: CollectorRegistry
) -> None:
    api = FakeKubernetes(ENDPOINT_SLICES, trouble=GONE)
    async with asyncio.timeout(5):
        source = await on(api, HASTY, tasks, registry).addresses()
    assert await source.addresses("k8s:///localhost:9000") == ["127.0.0.1:9000"]
    labels = {"resource": "endpointslices"}
    errors = registry.get_sample_value(
        "steersman_kubernetes_errors_total", {**labels, "reason": "UNREACHABLE"}
    )
    assert errors
    assert registry.get_sample_value("steersman_kubernetes_silence_seconds", labels) is not None


@pytest.mark.parametrize(
    "settings",
    [pytest.param(Kubernetes(), id="nothing"), pytest.param(Kubernetes(policies=True), id="policies alone")],
)
async def test_what_the_settings_do_not_want_is_not_asked_for(
    settings: Kubernetes, tasks: BackgroundTasks, registry: CollectorRegistry
) -> None:
    api = FakeKubernetes()
    assert isinstance(await on(api, settings, tasks, registry).addresses(), AddressLookup)
    assert api.asked == []


async def test_a_router_outside_of_a_cluster_needs_no_way_to_one() -> None:
    async with cluster_api(Kubernetes(), Identity()) as api:
        assert api is None


async def test_where_an_issuers_keys_check_tokens_no_way_to_the_api_is_needed() -> None:
    issuer = {"name": "https://issuer", "keys_url": "https://issuer/jwks"}
    accounts = {"rules": [{"namespace": "search"}], "issuer": issuer}
    async with cluster_api(Kubernetes(), Identity.model_validate({"service_accounts": accounts})) as api:
        assert api is None


async def test_a_router_that_is_to_use_the_api_and_has_no_way_to_it_does_not_start() -> None:
    with pytest.raises(OSError, match="no way to the Kubernetes API is known"):
        async with cluster_api(BOTH, Identity()):
            pass
