"""The Lease, in the Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from steersman.controller.lease import Lease
from steersman.runtime.kubernetes.api import Missing, Object, Resource, Writable

_LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
_NEVER: Final = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class KubernetesLease:
    """Implements `steersman.controller.ports.Leases`.

    What others have written on the Lease stays: Helm and tools for GitOps know by it what is theirs.

    Args:
        api: The Kubernetes API.
        namespace: Where the Lease is.
        name: What it is called.
        labels: What it is labelled with when it is made.
    """

    api: Writable
    namespace: str
    name: str
    labels: Mapping[str, str]
    _written_on_it: Mapping[str, Any] = field(default_factory=dict, init=False)

    async def read(self) -> Lease | None:
        """See `steersman.controller.ports.Leases.read`."""
        try:
            return self._seen(await self.api.read(_LEASES, self.namespace, self.name))
        except Missing:
            return None

    async def write(self, lease: Lease) -> Lease:
        """See `steersman.controller.ports.Leases.write`."""
        content = self._content(lease)
        if not lease.version:
            return self._seen(await self.api.create(_LEASES, self.namespace, content))
        return self._seen(await self.api.replace(_LEASES, self.namespace, content))

    def _seen(self, stored: Object) -> Lease:
        self._written_on_it = stored.content.get("metadata") or {}
        return _lease(stored)

    def _content(self, lease: Lease) -> Mapping[str, Any]:
        version = {"resourceVersion": lease.version} if lease.version else {}
        return {
            "apiVersion": f"{_LEASES.group}/{_LEASES.version}",
            "kind": "Lease",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {**self.labels, **(self._written_on_it.get("labels") or {})},
                "annotations": dict(self._written_on_it.get("annotations") or {}),
                **version,
            },
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": lease.duration,
                "acquireTime": _written(lease.acquired_at),
                "renewTime": _written(lease.renewed_at),
                "leaseTransitions": lease.transitions,
            },
        }


def _lease(stored: Object) -> Lease:
    """A Lease of which some fields may be missing: anybody may have made it."""
    spec = stored.content.get("spec") or {}
    return Lease(
        spec.get("holderIdentity") or "",
        max(1, spec.get("leaseDurationSeconds") or 1),
        _read(spec.get("acquireTime")),
        _read(spec.get("renewTime")),
        spec.get("leaseTransitions") or 0,
        stored.version,
    )


def _written(time: datetime) -> str:
    """A time as Kubernetes' MicroTime."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else _NEVER
