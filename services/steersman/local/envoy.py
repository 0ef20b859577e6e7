"""Envoy, which speaks TLS for Triton in the local system, by the very configuration that the chart has for it.

It follows its certificates: a folder that changes by a moved link, as kubelet changes a mounted Secret, is read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from steersman.local.parts import Parts
from steersman.local.probes import http_ok
from steersman.local.processes import Program
from steersman.local.triton import TritonPorts

_LOCAL: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Shown:
    """Certificates: its own, and whose it takes.

    Attributes:
        folder: Its own, in cert-manager's layout, with the authority of the others.
        caller: Name in the certificate of who may ask for scores.
        reader: Name in the certificate of who may read metrics.
    """

    folder: Path
    caller: str
    reader: str


def envoy(
    parts: Parts,
    *,
    ports: TritonPorts,
    behind: TritonPorts,
    shown: Shown,
    folder: Path,
    name: str = "triton_tls",
) -> Program:
    """An Envoy in front of a Triton of this machine.

    Args:
        parts: Where its files are.
        ports: Where to listen.
        behind: Where Triton does, in the clear.
        shown: Certificates.
        folder: A folder of its own, for its configuration.
        name: Names the process.
    """
    _configure(parts.envoy_configuration, folder, ports=ports, behind=behind, shown=shown)
    return configured(parts, folder, health=ports.http, ca_file=shown.folder / "ca.crt", name=name)


def configured(parts: Parts, folder: Path, *, health: int, ca_file: Path, name: str) -> Program:
    """An Envoy that finds its configuration in a folder.

    Args:
        parts: Where its files are.
        folder: Has the files of the chart, filled in.
        health: Port where it tells of its own health.
        ca_file: Authority of its certificate.
        name: Names the process.
    """
    return Program(
        name=name,
        argv=(
            str(parts.envoy),
            *("--config-path", str(folder / "envoy.yaml")),
            *("--concurrency", "1"),
            *("--log-level", "warning"),
            "--disable-hot-restart",
        ),
        ready=http_ok(f"https://{_LOCAL}:{health}/envoy/healthz", ca_file=ca_file),
    )


def _configure(source: Path, folder: Path, *, ports: TritonPorts, behind: TritonPorts, shown: Shown) -> None:
    """Fill in the files of the chart."""
    filled_in = {
        "ADDRESS": _LOCAL,
        "CONFIG": folder,
        "FOLDER": shown.folder,
        "GRPC_PORT": ports.grpc,
        "HEALTH_PORT": ports.http,
        "METRICS_PORT": ports.metrics,
        "TO_GRPC": behind.grpc,
        "TO_HEALTH": behind.http,
        "TO_METRICS": behind.metrics,
        "LIVE": "/v2/health/live",
        "READY": "/v2/health/ready",
        "METRICS": "/metrics",
        "CALLER": shown.caller,
        "READER": shown.reader,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        (folder / file.name).write_text(Template(file.read_text()).substitute(filled_in))
