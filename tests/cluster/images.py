"""Images of this checkout, built and given to the cluster's nodes.

A tag is made from what goes into its image: what has not changed is not built again, and a release that gets another
tag really gets another image.

CLUSTER_LOAD: A command to which paths of archives, as `docker save` writes them, are added. Where it is not set, the
    images are loaded into the kind cluster that KIND_CLUSTER names.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.commands import ROOT, run

BUILD_SECONDS: Final = 900.0
SCRIPT: Final = ROOT / "deploy" / "images.sh"
ARCHIVES: Final = ROOT / ".local" / "cluster" / "images"

_PYTHON: Final = ("services", ".dockerignore")
_INPUTS: Final = {
    "router": (*_PYTHON, "locks/images/router.txt"),
    "backend": (*_PYTHON, "locks/images/backend.txt"),
    "scaler": (*_PYTHON, "locks/images/scaler.txt"),
    "controller": (*_PYTHON, "locks/images/controller.txt"),
    "caller": (*_PYTHON, "locks/images/caller.txt", "tests/cluster/caller", "docs/grpc-service-config.json"),
    "classifier": (
        "services/steersman",
        "triton_models",
        "locks/triton.txt",
        "locks/images/triton-server.txt",
    ),
    "envoy": ("tests/cluster/envoy", "locks/images/envoy.txt"),
    "engine": ("services/Dockerfile.engine", "services/steersman/engine", "locks/images/engine.txt"),
}
"""What goes into an image."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    Attributes:
        name: What the build script calls it.
        tag: Its tag, made from its content.
    """

    name: str
    tag: str

    @property
    def reference(self) -> str:
        """As a pod names it."""
        return f"{os.environ.get('REGISTRY', 'ghcr.io/steersman')}/steersman-{self.name}:{self.tag}"

    @property
    def archive(self) -> Path:
        """Where it is kept for clusters that take archives."""
        return ARCHIVES / self.tag / f"{self.name}.tar"


def names() -> list[str]:
    """Images of those processes that are written already, the callers', and Envoy's."""
    services = ROOT / "services" / "steersman"
    return [
        name
        for name in _INPUTS
        if name in {"caller", "classifier", "envoy"} or (services / name / "__main__.py").exists()
    ]


def ready(name: str, *, edition: str = "") -> Image:
    """Build an image if it is not there, and give it to the nodes.

    Args:
        name: Which one.
        edition: Makes another image, with another version in its label, of the same content.
    """
    image = Image(name, f"{_digest(name)}{edition}")
    load = os.environ.get("CLUSTER_LOAD")
    if load is None:
        _script(image, "build")
        _script(image, "load")
        return image
    if not image.archive.exists():
        build_into(image.archive.parent, image)
    run(["bash", "-c", f"{load} {shlex.quote(str(image.archive))}"], seconds=BUILD_SECONDS)
    return image


def build_into(folder: Path, image: Image) -> Path:
    """Build an image whether it is there or not, and put its archive into a folder."""
    _script(image, "build")
    _script(image, "save", str(folder))
    return folder / f"{image.name}.tar"


def _script(image: Image, *arguments: str) -> None:
    content_alone = {"VERSION": image.tag, "REVISION": image.tag, "SOURCE_DATE_EPOCH": "0"}
    run([SCRIPT, *arguments, image.name], seconds=BUILD_SECONDS, environment=content_alone)


def _digest(name: str) -> str:
    content = hashlib.sha256()
    for file in _files(name):
        content.update(f"{file.relative_to(ROOT)}\n".encode())
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


def _files(name: str) -> Iterator[Path]:
    for part in _INPUTS[name]:
        path = ROOT / part
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)
