"""The processes that a benchmark starts beside the real parts, each bound to the loopback interface."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Final

import orjson
import yaml
from benchmarks import mock_engine

from steersman.local.parts import MissingPart, Parts
from steersman.local.probes import Probe, grpc_serving, http_ok
from steersman.local.processes import Program

TIERS: Final = ("weak", "strong")
_LITELLM: Final = "bench/bin/litellm"
_ROUTELLM: Final = "bench-routellm"
_ROUTELLM_SERVER: Final = (
    "import sys, uvicorn; uvicorn.run('routellm.openai_server:app', host='127.0.0.1', port=int(sys.argv[-1]))"
)
"""As that module starts its server itself, but on the loopback interface: it has no option for the host, and takes all.
The port is the last argument."""
_PEER_SECONDS: Final = 120.0
"""Within which a peer starts."""


class NotAsked(MissingPart):
    """What is installed only when it is asked for, for its size, and has not been."""


def engine(parts: Parts, *, port: int, seconds: float = 0.0) -> Program:
    """The mock engine, whose whole answers take so long."""
    ready = http_ok(f"http://127.0.0.1:{port}/v1/models")
    arguments = ("--port", str(port), "--seconds", str(seconds))
    return _own(parts, "mock_engine", *arguments, name="engine", ready=ready)


def echo(parts: Parts, *, port: int, answer: Path, kind: str = "echo") -> Program:
    """A bare gRPC server of a kind that `reference_server` names."""
    arguments = (kind, "--port", str(port), "--answer", str(answer))
    return _own(parts, "reference_server", *arguments, name=kind, ready=grpc_serving(f"127.0.0.1:{port}"))


def pass_through(parts: Parts, *, port: int, target: int, name: str = "pass-through") -> Program:
    """A proxy to another port."""
    arguments = ("--port", str(port), "--target", f"127.0.0.1:{target}")
    return _own(parts, "pass_through", *arguments, name=name, ready=grpc_serving(f"127.0.0.1:{port}"))


def router(
    parts: Parts,
    *,
    grpc: int,
    http: int,
    metrics: int,
    health: int,
    settings: Mapping[str, str],
    name: str = "router",
) -> Program:
    """The router as it ships, with a port for health as in the chart.

    `settings` names the rest of the system, and a collector if there is one.
    """
    own = {
        "STEERSMAN_GRPC__ADDRESS": f"127.0.0.1:{grpc}",
        "STEERSMAN_HTTP__ADDRESS": f"127.0.0.1:{http}",
        "STEERSMAN_METRICS__ADDRESS": f"127.0.0.1:{metrics}",
        "STEERSMAN_HEALTH__ADDRESS": f"127.0.0.1:{health}",
    }
    return Program(
        name=name,
        argv=(sys.executable, "-m", "steersman.router"),
        environment={"PYTHONPATH": os.fspath(parts.services), **own, **settings},
        ready=http_ok(f"http://127.0.0.1:{http}/readyz"),
    )


def backend(parts: Parts, *, grpc: int, metrics: int, engine_port: int, slots: int) -> Program:
    """A backend in front of the mock engine, which has as many slots as it is told."""
    settings = {
        "STEERSMAN_GRPC__ADDRESS": f"127.0.0.1:{grpc}",
        "STEERSMAN_METRICS__ADDRESS": f"127.0.0.1:{metrics}",
        "STEERSMAN_TIER": "strong",
        "STEERSMAN_ENGINE__URL": f"http://127.0.0.1:{engine_port}",
        "STEERSMAN_ENGINE__SLOTS": str(slots),
    }
    return Program(
        name="backend",
        argv=(sys.executable, "-m", "steersman.backend"),
        environment={"PYTHONPATH": os.fspath(parts.services), **settings},
        ready=grpc_serving(f"127.0.0.1:{grpc}"),
    )


def litellm(parts: Parts, *, port: int, engine_port: int, folder: Path) -> Program:
    """LiteLLM's proxy: one worker, no database, no key, telemetry and price look-up off.

    Raises:
        MissingPart: It is not installed.
    """
    binary = parts.local / _LITELLM
    if not binary.exists():
        raise MissingPart(f"{binary.relative_to(parts.root)} is missing: run make bench.")
    config = folder / "litellm.json"
    config.write_bytes(orjson.dumps(_litellm_config(engine_port)))
    return Program(
        name="litellm",
        argv=(
            str(binary),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ),
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
        },
        ready=http_ok(f"http://127.0.0.1:{port}/health/liveliness"),
        start_seconds=_PEER_SECONDS,
    )


def routellm(parts: Parts, *, port: int, engine_port: int) -> Program:
    """RouteLLM's own server with its random router, as it ships; both its models are the mock engine's.

    Raises:
        NotAsked: It is not installed.
    """
    folder = parts.local / _ROUTELLM
    if not (folder / ".ready").exists():
        raise NotAsked(
            f"{folder.relative_to(parts.root)} is missing: make bench ARGS='--only routellm' makes it (6 GB)."
        )
    model = f"openai/{mock_engine.MODEL}"
    options = {
        "--routers": "random",
        "--strong-model": model,
        "--weak-model": model,
        "--base-url": f"http://127.0.0.1:{engine_port}/v1",
        "--api-key": "none",
        "--port": str(port),
    }
    return Program(
        name="routellm",
        argv=(str(folder / "bin/python"), "-c", _ROUTELLM_SERVER, *chain.from_iterable(options.items())),
        environment={
            "OPENAI_API_KEY": "none",  # without one it cannot be imported
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "HF_HUB_OFFLINE": "1",
        },
        ready=http_ok(f"http://127.0.0.1:{port}/openapi.json"),
        start_seconds=_PEER_SECONDS,
    )


def write_policies(
    path: Path, upstream: Mapping[str, str], *, tenants: Mapping[str, object] | None, conversations: bool
) -> None:
    """Two tiers with one upstream, and a policy between them."""
    capabilities = {"context_window": 32_768}
    tier = {"model": mock_engine.MODEL, "upstream": dict(upstream), "capabilities": capabilities}
    policy: dict[str, object] = {"tiers": list(TIERS), "threshold": 0.7}
    if not conversations:
        policy["sticky"] = {"moves": "free"}
    content: dict[str, object] = {
        "tiers": dict.fromkeys(TIERS, tier),
        "policies": {"auto": policy},
        "default_policy": "auto",
    }
    if tenants is not None:
        content["tenants"] = dict(tenants)
    path.write_text(yaml.dump(content))


def _litellm_config(engine_port: int) -> dict[str, object]:
    engine = {
        "model": f"openai/{mock_engine.MODEL}",
        "api_base": f"http://127.0.0.1:{engine_port}/v1",
        "api_key": "none",
    }
    return {
        "model_list": [{"model_name": "auto", "litellm_params": engine}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "general_settings": {
            "disable_spend_logs": True,
            "dangerously_permit_weak_or_unset_master_key": True,  # as the router: callers are not told apart
        },
    }


def _own(parts: Parts, module: str, *arguments: str, name: str, ready: Probe) -> Program:
    """A module of this package as a process."""
    path = os.pathsep.join(map(str, (parts.root, parts.services)))
    return Program(
        name=name,
        argv=(sys.executable, "-m", f"benchmarks.{module}", *arguments),
        environment={"PYTHONPATH": path},
        ready=ready,
    )
