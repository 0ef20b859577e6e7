"""JSON schemas of Kubernetes' own resources, as `kubernetes-validate` carries them: closed, one set a version."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SUPPORTED: Final = ("1.30", "1.34", "1.37")
"""The oldest version that the chart takes, the one that it is tried on, and the newest that there are schemas of."""
CUSTOM: Final = frozenset(
    {
        ("cert-manager.io/v1", "Certificate"),
        ("cert-manager.io/v1", "Issuer"),
        ("gateway.networking.k8s.io/v1", "GRPCRoute"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("keda.sh/v1alpha1", "ScaledObject"),
        ("keda.sh/v1alpha1", "TriggerAuthentication"),
        ("monitoring.coreos.com/v1", "PodMonitor"),
        ("monitoring.coreos.com/v1", "PrometheusRule"),
        ("monitoring.coreos.com/v1", "ServiceMonitor"),
    }
)
"""Kinds that others bring; Kubernetes has no schema for them."""


def faults(manifest: dict[str, Any], version: str) -> list[str]:
    """What is wrong with a resource, for a version of Kubernetes."""
    group, _, api = manifest["apiVersion"].rpartition("/")
    name = "-".join(part for part in (manifest["kind"].lower(), group.split(".")[0], api) if part)
    return [
        f"{error.json_path}: {error.message}" for error in _validator(version, name).iter_errors(manifest)
    ]


@cache
def _validator(version: str, name: str) -> Draft202012Validator:
    schema = json.loads((_folder(version) / f"{name}.json").read_text())
    return Draft202012Validator(schema, registry=_registry(version))


@cache
def _registry(version: str) -> Registry[Any]:
    definitions = json.loads((_folder(version) / "_definitions.json").read_text())
    return Resource.from_contents(definitions) @ Registry()


def _folder(version: str) -> Traversable:
    packaged = resources.files("kubernetes_validate")
    return packaged / "kubernetes-json-schema" / f"v{version}.0-local-strict"
