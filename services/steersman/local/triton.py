"""The real Triton Inference Server of the local system, with the Python backend and its OpenTelemetry tracer.

Triton finds the Python backend and the stub for one version of Python in a folder that is put together here from the
wheel's files. The stub embeds the Python of this environment, but takes the environment of the first `python3` on its
PATH for its own; it heeds neither PYTHONPATH nor PYTHONHOME.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from steersman.classifier import language_model
from steersman.local import machine
from steersman.local.parts import Parts
from steersman.local.probes import http_ok
from steersman.local.processes import Program

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # where Triton puts its regions; nothing is written here
_REGION: Final = "steersman-"
"""How the names of this product's regions begin; the starter's pid follows."""
_TRACE_DELAY_MS: Final = 200
"""How long Triton keeps spans back to send more of them at once."""
_STUB: Final = "triton_python_backend_stub"


@dataclass(frozen=True, slots=True)
class TritonPorts:
    """Where Triton listens."""

    grpc: int
    http: int
    metrics: int


def triton(
    parts: Parts,
    *,
    repository: Path,
    ports: TritonPorts,
    folder: Path,
    traces_url: str | None = None,
    models: Sequence[str] = (),
    name: str = "triton",
) -> Program:
    """A Triton server.

    Args:
        parts: Where its files are.
        repository: Holds the models.
        ports: Where to listen.
        folder: A folder of this server's own, for the backend that it loads.
        traces_url: Where to send spans as OTLP JSON; None sends none.
        models: Which of them to serve; none named means all. Each is a process with the embeddings in its memory.
        name: Names the process.
    """
    region = f"{_REGION}{os.getpid()}-{ports.grpc}-"
    _remove_abandoned_memory()
    return Program(
        name=name,
        argv=(
            str(parts.triton / "bin" / "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={link_backends(parts, folder)}",
            f"--backend-config=python,shm-region-prefix-name={region}",
            *_load(models),
            *_listen(ports),
            *_trace(traces_url),
            "--exit-timeout-secs=5",
        ),
        environment=_environment(parts),
        ready=http_ok(f"http://127.0.0.1:{ports.http}/v2/health/ready"),
        tidy=partial(_remove_memory, region),
    )


def link_backends(parts: Parts, folder: Path) -> Path:
    """Put the Python backend together with the stub for the running Python. Returns the backend directory."""
    backends = folder / "backends"
    python = backends / "python"
    python.mkdir(parents=True, exist_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    sources = [
        *(parts.triton / "backends" / "python").iterdir(),
        parts.triton / "python_backend_stubs" / version / _STUB,
    ]
    for source in sources:
        link = python / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return backends


def _remove_memory(prefix: str) -> None:
    """Remove what a Triton that was killed has left of its shared memory."""
    for region in _SHARED_MEMORY.glob(f"{prefix}*"):
        with suppress(FileNotFoundError, PermissionError):
            region.unlink()


def _remove_abandoned_memory() -> None:
    """Remove what is left of Tritons whose starter was killed with them."""
    for region in _SHARED_MEMORY.glob(f"{_REGION}*"):
        starter = region.name.removeprefix(_REGION).partition("-")[0]
        if starter.isdigit() and not psutil.pid_exists(int(starter)):
            _remove_memory(region.name)


def _load(models: Sequence[str]) -> list[str]:
    named = [f"--load-model={model}" for model in models]
    return ["--model-control-mode=explicit", *named] if named else []


def _listen(ports: TritonPorts) -> list[str]:
    named = {"grpc": ports.grpc, "http": ports.http, "metrics": ports.metrics}
    return [
        flag
        for kind, port in named.items()
        for flag in (f"--{kind}-address=127.0.0.1", f"--{kind}-port={port}")
    ]


def _trace(url: str | None) -> list[str]:
    """Flags of the tracer: every request's span, which becomes a child of the caller's when it names one."""
    if url is None:
        return []
    return [
        "--trace-config=mode=opentelemetry",
        f"--trace-config=opentelemetry,url={url}",
        "--trace-config=opentelemetry,resource=service.name=triton",
        "--trace-config=rate=1",
        "--trace-config=level=TIMESTAMPS",
        f"--trace-config=opentelemetry,bsp_schedule_delay={_TRACE_DELAY_MS}",
    ]


def _environment(parts: Parts) -> dict[str, str]:
    library = Path(machine.own_shared_library())
    libraries = [parts.triton_libraries, *([library.parent] if library.is_absolute() else [])]
    return {
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PATH": os.pathsep.join([str(parts.triton_programs), os.environ.get("PATH", os.defpath)]),
        language_model.VARIABLE: str(parts.smollm2),
    }
