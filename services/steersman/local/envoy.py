"""Envoy, which speaks TLS for Triton in the local system, by the very configuration that the chart has for it.

It follows its certificates: a folder that changes by a moved link, as kubelet changes a mounted Secret, is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

import yaml

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


@dataclass(frozen=True, slots=True)
class Spans:
    """How Triton's spans go on by TLS.

    Attributes:
        port: Where Triton sends them, on the loopback.
        collector: Where they go, an `https` URL with its path.
    """

    port: int
    collector: str

    @property
    def url(self) -> str:
        """Where Triton sends them."""
        return f"http://{_LOCAL}:{self.port}{urlsplit(self.collector).path}"

    def filled_in(self, folder: Path) -> Mapping[str, object]:
        """What the files need to know.

        Args:
            folder: Certificates for the collector.
        """
        asked = urlsplit(self.collector)
        host = asked.hostname or ""
        named = not _is_address(host)
        return {
            "TRACES_PORT": self.port,
            "TRACES": asked.path,
            "TO_TRACES": asked.port or 443,
            "COLLECTOR": asked.netloc,
            "COLLECTOR_HOST": host,
            "COLLECTOR_KIND": "DNS" if named else "IP_ADDRESS",
            "COLLECTOR_SNI": host if named else "",
            "COLLECTOR_FOLDER": folder,
        }


def envoy(
    parts: Parts,
    *,
    ports: TritonPorts,
    behind: TritonPorts,
    shown: Shown,
    folder: Path,
    spans: Spans | None = None,
    name: str = "triton_tls",
) -> Program:
    """An Envoy in front of a Triton of this machine.

    Args:
        parts: Where its files are.
        ports: Where to listen.
        behind: Where Triton does, in the clear.
        shown: Certificates.
        folder: A folder of its own, for its configuration.
        spans: How Triton's spans go on, where they go by here.
        name: Names the process.
    """
    _configure(parts.envoy_configuration, folder, ports=ports, behind=behind, shown=shown, spans=spans)
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


def _configure(
    source: Path,
    folder: Path,
    *,
    ports: TritonPorts,
    behind: TritonPorts,
    shown: Shown,
    spans: Spans | None,
) -> None:
    """Fill in the files of the chart, without the parts that nothing is said of."""
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
        **({} if spans is None else spans.filled_in(shown.folder)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        content = yaml.safe_load(Template(file.read_text()).safe_substitute(filled_in))
        resources = content.get("static_resources", {})
        for kind, parts in resources.items():
            resources[kind] = [each for each in parts if f"TO_{each['name'].upper()}" in filled_in]
        (folder / file.name).write_text(yaml.safe_dump(content))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
