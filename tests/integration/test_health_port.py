"""Each of our processes as kubelet meets it: health by gRPC, at a port of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from fakes.api_server import kubeconfig
from fixtures.callers import fetch, until
from fixtures.free_ports import free_ports
from fixtures.router_process import NOWHERE, direct, policies, write
from fixtures.service_process import service
from steersman.local.probes import grpc_serving

pytestmark = pytest.mark.slow  # each test has a process of its own


def _router(folder: Path) -> Mapping[str, object]:
    tier = direct(f"http://{NOWHERE}")
    write(folder / "policies.yaml", policies(tier, tier))
    return {
        "HTTP__ADDRESS": "127.0.0.1:0",
        "POLICY_FILE": folder / "policies.yaml",
        "CLASSIFIER__TARGET": NOWHERE,
        "CACHE__URL": f"redis://{NOWHERE}/0",
        "CACHE__HMAC_KEY": "0" * 32,
    }


def _backend(_: Path) -> Mapping[str, object]:
    return {"TIER": "weak", "ENGINE__URL": f"http://{NOWHERE}"}


def _scaler(_: Path) -> Mapping[str, object]:
    return {"ROUTERS__TARGET": NOWHERE}


def _controller(folder: Path) -> Mapping[str, object]:
    return {"ROUTERS__TARGET": NOWHERE, "KUBERNETES__KUBECONFIG": kubeconfig(folder, f"http://{NOWHERE}")}


_PARTS_AWAY: Final = {"backend": "engine", "scaler": "routers", "controller": "lease"}
"""What a process waits for, where there is none of it."""


@pytest.mark.parametrize(
    ("name", "settings"),
    [("router", _router), ("backend", _backend), ("scaler", _scaler), ("controller", _controller)],
)
async def test_a_process_tells_kubelet_what_it_tells_callers_and_people(
    name: str, settings: Callable[[Path], Mapping[str, object]], tmp_path: Path
) -> None:
    ports = free_ports()
    port = f"127.0.0.1:{ports.take()}"
    given = {"HEALTH__ADDRESS": port, **settings(tmp_path)}
    async with service(name, given, ports=ports) as started:
        await until(grpc_serving(port), seconds=30)
        assert await grpc_serving(started.grpc)()
        healthz = started.metrics.replace("/metrics", "/healthz")
        assert (await fetch(healthz)).status == 200
        if part := _PARTS_AWAY.get(name):
            assert not await grpc_serving(port, service=part)()
            assert not await grpc_serving(started.grpc, service=part)()
            assert (await fetch(f"{healthz}?service={part}")).status == 503
        started.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.process.wait(), 20) == 0
