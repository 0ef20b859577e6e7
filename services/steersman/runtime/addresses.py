"""Where the replicas behind a target are: a static list, or DNS, where a headless Service has one record a pod.

A target that names a Service (`k8s:///SERVICE:PORT`) can be looked up in DNS too. A process that watches EndpointSlices
(`steersman.runtime.kubernetes.endpoints`) knows sooner.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final, Protocol

_NOBODY: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})
"""What getaddrinfo says when DNS has answered, and the answer is that there is no address: a headless Service without
ready pods has none. That DNS itself does not answer is another code."""
DNS: Final = "dns:///"
"""How a target begins that stands for all addresses of a name."""
SERVICE: Final = "k8s:///"
"""How a target begins that names a Service of the process's own namespace, and a port of its pods."""
_TIMEOUT_SECONDS: Final = 5.0


class AddressSource(Protocol):
    """Where the addresses behind a target are found."""

    async def addresses(self, target: str) -> Sequence[str]:
        """All addresses now, as HOST:PORT; none is an answer too.

        Raises:
            OSError: They cannot be found out.
        """
        ...


class AddressLookup:
    """Finds the addresses of `HOST:PORT[,HOST:PORT...]`, `dns:///NAME:PORT` or `k8s:///SERVICE:PORT`."""

    async def addresses(self, target: str) -> Sequence[str]:
        """All addresses now.

        Raises:
            OSError: DNS does not answer, or not in time.
        """
        if not target.startswith((DNS, SERVICE)):
            return [address.strip() for address in target.split(",") if address.strip()]
        host, port = split_address(target.removeprefix(DNS).removeprefix(SERVICE))
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError(f"{host} can be no name of a host") from error
        except socket.gaierror as error:
            if error.errno in _NOBODY:
                return []
            raise
        return sorted({joined(*address[:2]) for *_, address in found})


def name_of(target: str) -> str | None:
    """The name that all addresses of a target share, which is in their certificates; None where each has its own."""
    if not target.startswith((DNS, SERVICE)):
        return None
    return split_address(target.removeprefix(DNS).removeprefix(SERVICE))[0]


def split_address(address: str) -> tuple[str, str]:
    """Host and port of HOST:PORT; an IPv6 address without its brackets, which no socket and no certificate knows."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port


def joined(host: object, port: object) -> str:
    """An address as HOST:PORT, with brackets where the host is of IP version 6."""
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
