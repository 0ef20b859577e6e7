"""What a local system consists of: its programs, in the order of their start.

Everything is decided here, and nothing started, so that a test can take a plan and change one program of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steersman.local import policy_file
from steersman.local.addresses import Addresses
from steersman.local.collector import collector
from steersman.local.engine import Model, engine
from steersman.local.layout import Layout
from steersman.local.options import Elsewhere
from steersman.local.parts import Parts
from steersman.local.policy_file import Local, Tier
from steersman.local.processes import Program
from steersman.local.services import CLASSIFIER, RouterNeeds, backend, router
from steersman.local.triton import triton
from steersman.local.valkey import valkey

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
    """

    waves: tuple[tuple[Program, ...], ...]
    addresses: Addresses
    layout: Layout
    policies: Path
    folder: Path

    @property
    def logs(self) -> Path:
        """Folder of the log files, one a process."""
        return self.folder / "logs"


def plan(
    parts: Parts, tiers: Mapping[str, Answering], layout: Layout, *, folder: Path, threads: int = 1
) -> Plan:
    """Decide on command lines and settings, and write the policy file.

    Args:
        parts: Where the real parts are.
        tiers: What answers for each tier, by its name.
        layout: Where everything listens.
        folder: A folder of this system's own.
        threads: Processor threads of each engine.
    """
    policies = folder / "policies.yaml"
    policy_file.write(policies, {tier: _tier(tier, tiers[tier], layout) for tier in tiers})
    return Plan(
        waves=(
            _parts(parts, layout, folder=folder) + _engines(parts, tiers, layout, threads=threads),
            _backends(parts, layout),
            (_router(parts, tiers, layout, policies=policies),),
        ),
        addresses=_addresses(tiers, layout),
        layout=layout,
        policies=policies,
        folder=folder,
    )


def _parts(parts: Parts, layout: Layout, *, folder: Path) -> tuple[Program, ...]:
    return (
        collector(parts, port=layout.collector_port),
        valkey(parts, port=layout.valkey_port),
        triton(
            parts,
            repository=parts.model_repository,
            ports=layout.triton,
            folder=folder / "triton",
            traces_url=f"{layout.otlp_url}/v1/traces",
            models=(CLASSIFIER,),
        ),
    )


def _engines(
    parts: Parts, tiers: Mapping[str, Answering], layout: Layout, *, threads: int
) -> tuple[Program, ...]:
    return tuple(
        engine(parts, what, port=layout.tiers[tier].engine_port, name=f"{tier}_engine", threads=threads)
        for tier, what in tiers.items()
        if isinstance(what, Model)
    )


def _backends(parts: Parts, layout: Layout) -> tuple[Program, ...]:
    return tuple(
        backend(
            parts,
            tier=tier,
            engine_url=placed.engine_url,
            listening=placed.backend,
            otlp_url=layout.otlp_url,
            name=f"{tier}_backend",
        )
        for tier, placed in layout.tiers.items()
    )


def _router(parts: Parts, tiers: Mapping[str, Answering], layout: Layout, *, policies: Path) -> Program:
    keys = {
        policy_file.key_variable(tier): what.api_key
        for tier, what in tiers.items()
        if isinstance(what, Elsewhere) and what.api_key is not None
    }
    needs = RouterNeeds(
        policy_file=policies,
        classifier=f"127.0.0.1:{layout.triton.grpc}",
        cache_url=layout.redis_url,
        keys=keys,
    )
    return router(parts, needs, listening=layout.router, otlp_url=layout.otlp_url)


def _tier(name: str, what: Answering, layout: Layout) -> Tier:
    return Local(what, layout.tiers[name].backend.grpc) if isinstance(what, Model) else what


def _addresses(tiers: Mapping[str, Answering], layout: Layout) -> Addresses:
    def backend_of(tier: str) -> str | None:
        return layout.tiers[tier].backend.grpc if tier in layout.tiers else None

    def engine_of(tier: str) -> str:
        what = tiers[tier]
        return what.url if isinstance(what, Elsewhere) else layout.tiers[tier].engine_url

    return Addresses(
        router_grpc=layout.router.grpc,
        router_http=f"http://{layout.router.http}",
        triton_grpc=f"127.0.0.1:{layout.triton.grpc}",
        triton_http=f"http://127.0.0.1:{layout.triton.http}",
        redis=layout.redis_url,
        weak_backend=backend_of("weak"),
        strong_backend=backend_of("strong"),
        weak_engine=engine_of("weak"),
        strong_engine=engine_of("strong"),
        metrics=f"http://{layout.router.metrics}/metrics",
        traces=f"{layout.otlp_url}/traces",
    )
