"""What a local system consists of: its programs, in the order of their start.

Everything is decided here, and nothing started, so that a test can take a plan and change one program of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from steersman.local import policy_file
from steersman.local.addresses import Addresses
from steersman.local.collector import collector
from steersman.local.engine import Model, engine
from steersman.local.envoy import Spans, envoy
from steersman.local.hops import PLAIN, Hops
from steersman.local.layout import Layout
from steersman.local.options import Elsewhere
from steersman.local.parts import Parts
from steersman.local.policy_file import Local, Tier
from steersman.local.processes import Program
from steersman.local.services import CLASSIFIER, RouterNeeds, backend, router
from steersman.local.triton import triton
from steersman.local.valkey import valkey

_COLLECTOR: Final = "collector"

Answering = Model | Elsewhere
"""What answers for a tier: a model of this machine, or a server elsewhere."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A system that could be started.

    Attributes:
        waves: Programs in the order of their start; those of one wave start together.
        addresses: Where they will listen.
        layout: The same, process by process.
        policies: The file with the tier catalogue and the policies; the router follows its changes.
        folder: The system's own folder, which has its log files.
        otlp_url: Where spans go, without a path.
    """

    waves: tuple[tuple[Program, ...], ...]
    addresses: Addresses
    layout: Layout
    policies: Path
    folder: Path
    otlp_url: str

    @property
    def logs(self) -> Path:
        """Folder of the log files, one a process."""
        return self.folder / "logs"


def plan(
    parts: Parts,
    tiers: Mapping[str, Answering],
    layout: Layout,
    *,
    folder: Path,
    threads: int = 1,
    tls: bool = False,
) -> Plan:
    """Decide on command lines and settings, and write the policy file.

    Args:
        parts: Where the real parts are.
        tiers: What answers for each tier, by its name.
        layout: Where everything listens.
        folder: A folder of this system's own.
        threads: Processor threads of each engine.
        tls: Whether its processes speak TLS with each other and with callers.
    """
    hops = Hops.private(folder / "tls", _speaking(tiers)) if tls else PLAIN
    policies, otlp_url = folder / "policies.yaml", f"{hops.http}://127.0.0.1:{layout.collector_port}"
    policy_file.write(policies, {tier: _tier(tier, tiers[tier], layout) for tier in tiers})
    return Plan(
        waves=(
            _parts(parts, layout, hops, folder=folder, otlp_url=otlp_url)
            + _engines(parts, tiers, layout, threads=threads),
            _backends(parts, layout, hops, otlp_url=otlp_url),
            (_router(parts, tiers, layout, hops, policies=policies, otlp_url=otlp_url),),
        ),
        addresses=_addresses(tiers, layout, hops, otlp_url=otlp_url),
        layout=layout,
        policies=policies,
        folder=folder,
        otlp_url=otlp_url,
    )


def _speaking(tiers: Iterable[str]) -> Iterator[str]:
    """The programs that speak TLS, where any does."""
    yield from ("router", "triton", _COLLECTOR, *(f"{tier}_backend" for tier in tiers))


def _parts(parts: Parts, layout: Layout, hops: Hops, *, folder: Path, otlp_url: str) -> tuple[Program, ...]:
    return (
        collector(parts, port=layout.collector_port, certificates=hops.certificates(_COLLECTOR)),
        valkey(parts, port=layout.valkey_port, socket=_socket(hops)),
        *_classifier(parts, layout, hops, folder=folder, traces_url=f"{otlp_url}/v1/traces"),
    )


def _classifier(
    parts: Parts, layout: Layout, hops: Hops, *, folder: Path, traces_url: str
) -> Iterator[Program]:
    """Triton, and where hops are private Envoy, which others come by and Triton's spans go by."""
    shown = hops.shown("triton", caller="router")
    spans = Spans(layout.spans_port, traces_url)
    yield triton(
        parts,
        repository=parts.model_repository,
        ports=layout.triton_behind if shown else layout.triton,
        folder=folder / "triton",
        traces_url=spans.url if shown else traces_url,
        models=(CLASSIFIER,),
    )
    if shown:
        yield envoy(
            parts,
            ports=layout.triton,
            behind=layout.triton_behind,
            shown=shown,
            folder=folder / "envoy",
            spans=spans,
        )


def _socket(hops: Hops) -> Path | None:
    return None if hops.folder is None else hops.folder / "valkey.sock"


def _engines(
    parts: Parts, tiers: Mapping[str, Answering], layout: Layout, *, threads: int
) -> tuple[Program, ...]:
    return tuple(
        engine(parts, what, port=layout.tiers[tier].engine_port, name=f"{tier}_engine", threads=threads)
        for tier, what in tiers.items()
        if isinstance(what, Model)
    )


def _backends(parts: Parts, layout: Layout, hops: Hops, *, otlp_url: str) -> tuple[Program, ...]:
    return tuple(
        backend(
            parts,
            tier=tier,
            engine_url=placed.engine_url,
            listening=placed.backend,
            otlp_url=otlp_url,
            name=f"{tier}_backend",
            hops=hops,
        )
        for tier, placed in layout.tiers.items()
    )


def _router(
    parts: Parts,
    tiers: Mapping[str, Answering],
    layout: Layout,
    hops: Hops,
    *,
    policies: Path,
    otlp_url: str,
) -> Program:
    keys = {
        policy_file.key_variable(tier): what.api_key
        for tier, what in tiers.items()
        if isinstance(what, Elsewhere) and what.api_key is not None
    }
    needs = RouterNeeds(
        policy_file=policies,
        classifier=f"127.0.0.1:{layout.triton.grpc}",
        cache_url=_redis(layout, hops),
        keys=keys,
        hops=hops,
    )
    return router(parts, needs, listening=layout.router, otlp_url=otlp_url)


def _tier(name: str, what: Answering, layout: Layout) -> Tier:
    return Local(what, layout.tiers[name].backend.grpc) if isinstance(what, Model) else what


def _redis(layout: Layout, hops: Hops) -> str:
    socket = _socket(hops)
    return layout.redis_url if socket is None else f"unix://{socket}?db=0"


def _addresses(tiers: Mapping[str, Answering], layout: Layout, hops: Hops, *, otlp_url: str) -> Addresses:
    def backend_of(tier: str) -> str | None:
        return layout.tiers[tier].backend.grpc if tier in layout.tiers else None

    def engine_of(tier: str) -> str:
        what = tiers[tier]
        return what.url if isinstance(what, Elsewhere) else layout.tiers[tier].engine_url

    return Addresses(
        router_grpc=layout.router.grpc,
        router_http=f"{hops.http}://{layout.router.http}",
        triton_grpc=f"127.0.0.1:{layout.triton.grpc}",
        triton_http=f"{hops.http}://127.0.0.1:{layout.triton.http}",
        redis=_redis(layout, hops),
        weak_backend=backend_of("weak"),
        strong_backend=backend_of("strong"),
        weak_engine=engine_of("weak"),
        strong_engine=engine_of("strong"),
        metrics=f"{hops.http}://{layout.router.metrics}/metrics",
        traces=f"{otlp_url}/traces",
        ca_file=None if hops.ca_file is None else str(hops.ca_file),
    )
