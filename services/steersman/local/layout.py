"""Where each process of a local system will listen, decided before any of them starts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from steersman.local.ports import Ports
from steersman.local.services import Listening
from steersman.local.triton import TritonPorts

_HTTP_PORT: Final = 8080
_GRPC_PORT: Final = 9000
"""The router's customary ports."""


@dataclass(frozen=True, slots=True)
class TierLayout:
    """Where a tier's engine and the backend in front of it listen."""

    engine_port: int
    backend: Listening

    @property
    def engine_url(self) -> str:
        """Of the engine, without a path."""
        return f"http://127.0.0.1:{self.engine_port}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything listens.

    Attributes:
        collector_port: The collector.
        valkey_port: Valkey.
        triton: Triton, or the Envoy in front of it.
        triton_behind: Triton where there is one.
        spans_port: Where that Envoy takes Triton's spans.
        router: The router.
        tiers: By name, those whose engine runs on this machine.
    """

    collector_port: int
    valkey_port: int
    triton: TritonPorts
    triton_behind: TritonPorts
    spans_port: int
    router: Listening
    tiers: dict[str, TierLayout]

    @property
    def redis_url(self) -> str:
        """Of Valkey, as a client takes it."""
        return f"redis://127.0.0.1:{self.valkey_port}/0"


def decide(ports: Ports, *, tiers: Collection[str], customary: bool = False) -> Layout:
    """Take ports for a system.

    Args:
        ports: Where they come from.
        tiers: Names of the tiers whose engine runs on this machine.
        customary: Whether the router takes its customary ports if they are free.
    """

    def address(preferred: int | None = None) -> str:
        return f"127.0.0.1:{ports.take(preferred=preferred if customary else None)}"

    return Layout(
        collector_port=ports.take(),
        valkey_port=ports.take(),
        triton=_triton(ports),
        triton_behind=_triton(ports),
        spans_port=ports.take(),
        router=Listening(grpc=address(_GRPC_PORT), http=address(_HTTP_PORT), metrics=address()),
        tiers={
            tier: TierLayout(ports.take(), Listening(grpc=address(), metrics=address())) for tier in tiers
        },
    )


def _triton(ports: Ports) -> TritonPorts:
    return TritonPorts(grpc=ports.take(), http=ports.take(), metrics=ports.take())
