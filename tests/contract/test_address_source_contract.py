"""What Steersman relies on in an address source, asked of the fake one, of DNS and of EndpointSlices."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

import pytest

from fakes.addresses import FakeAddresses
from fakes.endpoints import an_endpoint, an_endpoint_slice
from fakes.kubernetes import GONE, FakeKubernetes
from fixtures.real_cluster import Space
from steersman.runtime.addresses import AddressLookup, AddressSource
from steersman.runtime.kubernetes.api import Watchable
from steersman.runtime.kubernetes.client import KubernetesApi
from steersman.runtime.kubernetes.endpoints import ENDPOINT_SLICES, EndpointAddresses
from steersman.runtime.kubernetes.reflector import Objects, Reflector


def refusing(code: int) -> Callable[..., NoReturn]:
    """A resolver that has only this to say."""

    def getaddrinfo(*_: object) -> NoReturn:
        raise socket.gaierror(code, "so says the resolver")

    return getaddrinfo


@dataclass
class Subject:
    """A source under test, a target that it knows, and one about which it cannot find out anything."""

    source: AddressSource
    known: str
    expected: set[str]
    unknown: str


class AddressSourceContract:
    """The suite; a subclass says which source is the `subject`."""

    async def test_all_addresses_are_found(self, subject: Subject) -> None:
        assert subject.expected <= set(await subject.source.addresses(subject.known))

    async def test_no_address_is_found_twice(self, subject: Subject) -> None:
        found = await subject.source.addresses(subject.known)
        assert len(found) == len(set(found))

    async def test_asking_again_finds_the_same(self, subject: Subject) -> None:
        first, second = [await subject.source.addresses(subject.known) for _ in range(2)]
        assert first == second

    async def test_what_cannot_be_found_out_is_an_os_error(self, subject: Subject) -> None:
        with pytest.raises(OSError, match=r".+"):
            await subject.source.addresses(subject.unknown)


class TestFake(AddressSourceContract):
    @pytest.fixture
    def subject(self) -> Subject:
        class Source(FakeAddresses):
            async def addresses(self, target: str) -> list[str]:
                self.down = target == "unknown"
                return list(await super().addresses(target))

        return Subject(Source(("a:1", "b:1")), "known", {"a:1", "b:1"}, "unknown")


class TestDns(AddressSourceContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return Subject(
            AddressLookup(), "dns:///localhost:9001", {"127.0.0.1:9001"}, f"dns:///{'x' * 64}:9001"
        )

    @pytest.mark.parametrize(
        "target",
        [
            pytest.param("dns:///..:80", id="empty labels"),
            pytest.param("dns:///localhost:no-such-service", id="no such port"),
            pytest.param("dns:///localhost", id="no port"),
        ],
    )
    async def test_a_target_that_makes_no_sense_is_an_os_error_too(
        self, subject: Subject, target: str
    ) -> None:
        with pytest.raises(OSError, match=r".+"):
            await subject.source.addresses(target)

    @pytest.mark.parametrize("target", ["dns:///::1:9001", "dns:///[::1]:9001"])
    async def test_an_address_of_version_six_is_written_in_brackets(
        self, subject: Subject, target: str
    ) -> None:
        assert await subject.source.addresses(target) == ["[::1]:9001"]

    async def test_a_service_is_looked_up_by_its_name_too(self, subject: Subject) -> None:
        assert await subject.source.addresses("k8s:///localhost:9001") == ["127.0.0.1:9001"]

    @pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
    async def test_a_name_without_addresses_has_none(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", refusing(code))
        assert await subject.source.addresses(subject.known) == []

    @pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
    async def test_silence_of_dns_is_an_os_error_and_not_the_news_that_there_is_nobody(
        self, subject: Subject, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", refusing(code))
        with pytest.raises(OSError, match=r".+"):
            await subject.source.addresses(subject.known)

    def test_a_name_that_is_not_resolved_in_time_is_an_os_error_too(self) -> None:
        assert issubclass(TimeoutError, OSError)


class Watching:
    """A source on an API, asked again whenever an EndpointSlice has changed."""

    def __init__(self, api: Watchable, namespace: str) -> None:
        self.slices = Reflector(api, ENDPOINT_SLICES, namespace, self._tell)
        self.source = EndpointAddresses(self.slices, FakeAddresses(("by-name:1",)))
        self._changed = asyncio.Event()

    async def until(self, target: str, expected: Sequence[str]) -> None:
        async with asyncio.timeout(20):
            while await self.source.addresses(target) != expected:
                await self._changed.wait()
                self._changed.clear()

    async def _tell(self, _: Objects) -> None:
        self._changed.set()


@asynccontextmanager
async def watching(api: Watchable, namespace: str) -> AsyncIterator[Watching]:
    watching = Watching(api, namespace)
    task = asyncio.create_task(watching.slices.follow())
    try:
        yield watching
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestEndpointSlices(AddressSourceContract):
    @pytest.fixture
    def api(self) -> FakeKubernetes:
        api = FakeKubernetes(ENDPOINT_SLICES)
        api.put_content("weak-1", an_endpoint_slice("weak", an_endpoint("10.0.0.1"), an_endpoint("10.0.0.2")))
        return api

    @pytest.fixture
    async def world(self, api: FakeKubernetes) -> AsyncIterator[Watching]:
        async with watching(api, api.namespace) as world:
            yield world

    @pytest.fixture
    async def subject(self, world: Watching) -> Subject:
        assert await world.slices.listed(5.0)
        return Subject(
            EndpointAddresses(world.slices, AddressLookup()),
            "k8s:///weak:9000",
            {"10.0.0.1:9000", "10.0.0.2:9000"},
            f"dns:///{'x' * 64}:9001",
        )

    async def test_a_pod_that_becomes_ready_is_found_and_one_that_ends_is_not(
        self, api: FakeKubernetes, subject: Subject, world: Watching
    ) -> None:
        ending = an_endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
        api.put_content("weak-1", an_endpoint_slice("weak", ending, an_endpoint("10.0.0.3")))
        await world.until(subject.known, ["10.0.0.3:9000"])

    async def test_a_service_that_sleeps_has_no_addresses(
        self, api: FakeKubernetes, subject: Subject, world: Watching
    ) -> None:
        api.put_content("weak-1", an_endpoint_slice("weak"))
        await world.until(subject.known, [])

    async def test_what_is_known_stays_while_the_api_server_is_away(
        self, api: FakeKubernetes, subject: Subject
    ) -> None:
        api.fail(GONE)
        await api.until_asked(4)
        assert set(await subject.source.addresses(subject.known)) == subject.expected

    async def test_before_the_api_server_was_heard_once_names_are_looked_up_elsewhere(
        self, api: FakeKubernetes
    ) -> None:
        api.fail(GONE)
        async with watching(api, api.namespace) as world:
            await api.until_asked(1)
            assert await world.source.addresses("k8s:///weak:9000") == ["by-name:1"]
            api.fail(None)
            await world.until("k8s:///weak:9000", ["10.0.0.1:9000", "10.0.0.2:9000"])

    async def test_other_targets_are_looked_up_elsewhere(self, world: Watching) -> None:
        assert await world.slices.listed(5.0)
        assert await world.source.addresses("dns:///weak:9000") == ["by-name:1"]

    async def test_an_address_of_version_six_is_written_in_brackets(
        self, api: FakeKubernetes, subject: Subject, world: Watching
    ) -> None:
        api.put_content("weak-1", an_endpoint_slice("weak", an_endpoint("fd00::1"), family="IPv6"))
        await world.until(subject.known, ["[fd00::1]:9000"])


@pytest.mark.cluster
class TestRealEndpointSlices(AddressSourceContract):
    @pytest.fixture
    async def subject(self, real_api: KubernetesApi, space: Space) -> AsyncIterator[Subject]:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "weak"},
            "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 9000}]},
        }
        slices = {
            **an_endpoint_slice(
                "weak", an_endpoint("10.0.0.1", ready=True), an_endpoint("10.0.0.2", ready=False)
            ),
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "ports": [{"name": "grpc", "port": 9000}],
        }
        slices["metadata"]["name"] = "weak-1"
        for content in (service, slices):
            assert await asyncio.to_thread(space.apply, content) == ""
        async with watching(real_api, space.name) as world:
            assert await world.slices.listed(5.0)
            elsewhere = EndpointAddresses(world.slices, AddressLookup())
            yield Subject(elsewhere, "k8s:///weak:9000", {"10.0.0.1:9000"}, f"dns:///{'x' * 64}:9001")

    async def test_pods_that_are_not_ready_are_left_out(self, subject: Subject) -> None:
        assert await subject.source.addresses(subject.known) == ["10.0.0.1:9000"]


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        pytest.param("triton:8001", ["triton:8001"], id="one"),
        pytest.param("a:1,b:2", ["a:1", "b:2"], id="several"),
        pytest.param(" a:1 , b:2, ", ["a:1", "b:2"], id="with white space"),
        pytest.param("http://engine:8000/v1", ["http://engine:8000/v1"], id="a URL"),
    ],
)
async def test_a_static_target_is_its_own_answer(target: str, addresses: list[str]) -> None:
    assert await AddressLookup().addresses(target) == addresses
