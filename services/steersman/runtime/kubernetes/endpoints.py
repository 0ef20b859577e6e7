"""Addresses from EndpointSlices: a pod is known a moment after it is ready, and forgotten as soon as it is ending.

DNS tells the same, but later: its answers are cached, that there is no address among them. It stands in until the
EndpointSlices have been listed once, so that a process which starts while the API server is away finds its way too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from steersman.runtime.addresses import SERVICE, AddressSource, joined
from steersman.runtime.kubernetes.api import Resource
from steersman.runtime.kubernetes.reflector import Reflector

ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices")
_OF_SERVICE: Final = "kubernetes.io/service-name"
_FAMILIES: Final = ("IPv4", "IPv6")
"""Where a Service has both, each pod is in both, and must not be taken for two."""


@dataclass(frozen=True, slots=True)
class EndpointAddresses:
    """Implements `steersman.runtime.addresses.AddressSource` for targets that name a Service.

    Args:
        slices: A copy of the namespace's EndpointSlices.
        otherwise: Asked for all other targets, and as long as there is no copy.
    """

    slices: Reflector
    otherwise: AddressSource

    async def addresses(self, target: str) -> Sequence[str]:
        """All addresses now; none where the Service has no ready pod, or there is no such Service.

        Raises:
            OSError: They cannot be found out.
        """
        objects = self.slices.objects
        if not target.startswith(SERVICE) or objects is None:
            return await self.otherwise.addresses(target)
        service, _, port = target.removeprefix(SERVICE).rpartition(":")
        found = (each.content for each in objects.values())
        return [joined(host, port) for host in ready_hosts(found, service)]


def ready_hosts(slices: Iterable[Mapping[str, Any]], service: str) -> list[str]:
    """Addresses of the ready pods of a Service, of one family.

    Args:
        slices: EndpointSlices, of this Service and of others.
        service: Its name.
    """
    hosts: dict[str, set[str]] = {family: set() for family in _FAMILIES}
    for each in slices:
        if each["metadata"].get("labels", {}).get(_OF_SERVICE) == service and each["addressType"] in hosts:
            hosts[each["addressType"]].update(_ready(each))
    return sorted(next((found for found in hosts.values() if found), ()))


def _ready(endpoint_slice: Mapping[str, Any]) -> Iterable[str]:
    for endpoint in endpoint_slice.get("endpoints") or ():
        # Not to say whether it is ready means that it is; of several addresses only the first one counts.
        if endpoint.get("conditions", {}).get("ready") is not False:
            yield endpoint["addresses"][0]
