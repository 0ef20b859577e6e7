"""A trained artefact on disk: `head.safetensors` and `manifest.json`, and further files where a method has them.

The manifest names everything that the weights came from. Its digest covers all files, is what a cache keys
decisions by, and is checked on loading, so that weights and manifest of two trainings never pass for one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from steersman.classifier import whole_files
from steersman.classifier.errors import ArtefactError

HEAD = "head.safetensors"
MANIFEST = "manifest.json"
DIGEST = "artefact_digest"
"""Key of the digest in the manifest, and, followed by a dot and the version, in the model's configuration."""
FILES = "files"
"""Key of the further files in the manifest: their names, and the SHA-256 of each."""

Tensors = dict[str, npt.NDArray[Any]]
Manifest = dict[str, Any]
"""Parsed JSON."""


def write(
    directory: Path,
    *,
    tensors: Tensors,
    manifest: Mapping[str, Any],
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Write all files, or on failure none, and tell the digest.

    In a Triton model repository the digest goes into the model's `config.pbtxt` as well. A number of the manifest that
    is not finite becomes null: JSON has none such.

    Raises:
        ArtefactError: A tensor is not all finite numbers, or the directory cannot be written.
    """
    _check(tensors)
    head = save(tensors)
    manifest = _plain(manifest)
    if files:
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = {**manifest, FILES: hashes}
    digest = _digest(head, manifest)
    described = json.dumps({DIGEST: digest, **manifest}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    further = {directory / name: content for name, content in files.items()}
    written = {directory / HEAD: head, directory / MANIFEST: described.encode(), **further}
    configuration = directory.parent / "config.pbtxt"
    if configuration.is_file():
        text = configuration.read_text(encoding="utf-8")
        written[configuration] = _with_digest(text, version=directory.name, digest=digest).encode()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        whole_files.replace_all(written)
    except OSError as error:
        raise ArtefactError(f"cannot write {error.filename}: {error.strerror}") from error
    return digest


def read(directory: Path, *, digest: str | None = None) -> tuple[Tensors, Manifest]:
    """Read and check an artefact, and that it is the one of that digest, where one is asked for.

    Raises:
        ArtefactError: A file is missing or malformed, they do not belong together, or the digest is another.
    """
    try:
        head = (directory / HEAD).read_bytes()
        manifest = json.loads((directory / MANIFEST).read_bytes())
        tensors = load(head)
    except OSError as error:
        raise ArtefactError(f"cannot read {error.filename}: {error.strerror}") from error
    except (ValueError, SafetensorError) as error:
        raise ArtefactError(f"the artefact in {directory} is damaged: {error}") from error
    if not isinstance(manifest, dict):
        raise ArtefactError(f"the artefact in {directory} is damaged: {MANIFEST} is no object")
    rest = {key: value for key, value in manifest.items() if key != DIGEST}
    if manifest.get(DIGEST) != _digest(head, rest):
        raise ArtefactError(f"{HEAD} and {MANIFEST} in {directory} do not belong together")
    if digest is not None and manifest[DIGEST] != digest:
        raise ArtefactError(f"the artefact in {directory} is not the one that is configured")
    return tensors, manifest


def read_of(method: str, directory: Path, *, digest: str | None = None) -> tuple[Tensors, Manifest]:
    """Read and check an artefact that must be of a method.

    Raises:
        ArtefactError: As `read`, or it is of another method.
    """
    tensors, manifest = read(directory, digest=digest)
    if manifest.get("method") != method:
        raise ArtefactError(f"{directory} holds no {method} artefact")
    return tensors, manifest


def read_file(directory: Path, name: str, manifest: Manifest) -> bytes:
    """Read one of an artefact's further files.

    Raises:
        ArtefactError: It is missing, or not the one that the manifest names.
    """
    try:
        content = (directory / name).read_bytes()
    except OSError as error:
        raise ArtefactError(f"cannot read {error.filename}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != manifest.get(FILES, {}).get(name):
        raise ArtefactError(f"{name} and {MANIFEST} in {directory} do not belong together")
    return content


def _check(tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ArtefactError(f"nothing is written: not all of '{name}' are finite numbers")


def _plain(value: Any) -> Any:
    """The same with None for every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(head: bytes, manifest: Mapping[str, Any]) -> str:
    canonical = json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(hashlib.sha256(head).digest() + canonical.encode()).hexdigest()


def _with_digest(configuration: str, *, version: str, digest: str) -> str:
    """The configuration with the version's digest set, or added where it had none."""
    key = re.escape(f'"{DIGEST}.{version}"')
    entry = re.compile(rf'(key: {key}\s+value: \{{ string_value: ")[^"]*(")')
    if entry.search(configuration):
        return entry.sub(rf"\g<1>{digest}\g<2>", configuration)
    added = f'parameters {{ key: "{DIGEST}.{version}" value: {{ string_value: "{digest}" }} }}\n'
    return configuration.rstrip("\n") + "\n" + added
