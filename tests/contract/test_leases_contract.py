"""What an election relies on in a Lease, asked of the fake one and of one in a real Kubernetes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from fakes.leases import FakeLeases
from fixtures.real_cluster import Space
from steersman.controller.adapters.lease import KubernetesLease
from steersman.controller.lease import Lease
from steersman.controller.ports import Leases
from steersman.runtime.kubernetes.api import Conflict, Resource

if TYPE_CHECKING:
    from steersman.runtime.kubernetes.client import KubernetesApi

NEW = Lease("a", 12, datetime(2026, 1, 1, 12, 0, 0, 123456, UTC), datetime(2026, 1, 1, 12, 0, 1, 5, UTC))
LEASES = Resource("coordination.k8s.io", "v1", "leases")


class LeasesContract:
    """The suite; a subclass gives `leases`, of which there is none yet."""

    async def test_where_there_is_none_none_is_read(self, leases: Leases) -> None:
        assert await leases.read() is None

    async def test_what_is_stored_is_read_to_the_microsecond(self, leases: Leases) -> None:
        stored = await leases.write(NEW)
        assert stored == replace(NEW, version=stored.version)
        assert stored.version
        assert await leases.read() == stored

    async def test_a_lease_is_renewed_as_it_was_read(self, leases: Leases) -> None:
        stored = await leases.write(NEW)
        renewed = await leases.write(replace(stored, renewed_at=datetime(2026, 1, 1, 13, tzinfo=UTC)))
        assert renewed.version != stored.version
        assert await leases.read() == renewed

    async def test_a_lease_that_has_changed_since_is_not_written_over(self, leases: Leases) -> None:
        stored = await leases.write(NEW)
        taken = await leases.write(replace(stored, holder="b", transitions=1))
        with pytest.raises(Conflict):
            await leases.write(replace(stored, renewed_at=NEW.acquired_at))
        assert await leases.read() == taken

    async def test_a_lease_is_made_once(self, leases: Leases) -> None:
        await leases.write(NEW)
        with pytest.raises(Conflict):
            await leases.write(replace(NEW, holder="b"))

    async def test_a_lease_that_was_given_back_has_no_holder(self, leases: Leases) -> None:
        stored = await leases.write(NEW)
        await leases.write(replace(stored, holder="", duration=1))
        read = await leases.read()
        assert read is not None
        assert read.holder == ""


class TestFake(LeasesContract):
    @pytest.fixture
    def leases(self) -> FakeLeases:
        return FakeLeases()


@pytest.mark.cluster
class TestReal(LeasesContract):
    @pytest.fixture
    def leases(self, real_api: KubernetesApi, space: Space) -> KubernetesLease:
        name = f"contract-{uuid4().hex[:8]}"
        return KubernetesLease(real_api, space.name, name, {"app.kubernetes.io/component": "controller"})

    async def test_a_lease_that_somebody_else_made_may_say_little(
        self, leases: KubernetesLease, real_api: KubernetesApi, space: Space
    ) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": leases.name},
            "spec": {},
        }
        await real_api.create(LEASES, space.name, lease)
        read = await leases.read()
        assert read is not None
        assert (read.holder, read.duration, read.transitions) == ("", 1, 0)
        assert (await leases.write(replace(read, holder="a"))).holder == "a"

    async def test_what_others_wrote_on_the_lease_stays(
        self, leases: KubernetesLease, real_api: KubernetesApi, space: Space
    ) -> None:
        theirs = {
            "labels": {"app.kubernetes.io/instance": "mine"},
            "annotations": {"meta.helm.sh/release-name": "mine"},
        }
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": leases.name, **theirs},
        }
        await real_api.create(LEASES, space.name, lease)
        read = await leases.read()
        assert read is not None
        await leases.write(await leases.write(replace(read, holder="a")))

        metadata = (await real_api.read(LEASES, space.name, leases.name)).content["metadata"]
        assert metadata["annotations"] == theirs["annotations"]
        assert metadata["labels"] == {"app.kubernetes.io/component": "controller", **theirs["labels"]}
