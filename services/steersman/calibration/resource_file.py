"""RoutingPolicy resources in a file, as `kubectl apply` takes it: one document or several, with others among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from steersman.classifier.errors import DataError
from steersman.router import catalogue
from steersman.router.model import Policy, PolicyResource

KIND: Final = "RoutingPolicy"
_GROUP: Final = "steersman.dev"


def holds_resources(text: str) -> bool:
    """Whether a file is one of Kubernetes resources, and not a policy file, which has no kind."""
    try:
        return any(
            _scalar(root, "kind") is not None for root in yaml.compose_all(text, Loader=yaml.SafeLoader)
        )
    except (yaml.YAMLError, RecursionError):
        return False


def policies(text: str, path: Path) -> dict[str, Policy]:
    """The policies of a file's resources by name, as the router reads them.

    Raises:
        DataError: There is none, one is not valid, or two have the same name.
    """
    try:
        resources = [each for each in catalogue.documents(text.encode()) if _is_one(each)]
        found = [_policy(each, path) for each in resources]
    except catalogue.CatalogueError as error:
        raise DataError(f"{path}: {error}") from error
    named = {each.name: each for each in found}
    if not found:
        raise DataError(f"{path}: no {KIND} of {_GROUP} in it")
    if len(named) < len(found):
        raise DataError(f"{path}: two resources of one name; keep them in files of their own")
    return named


def spec(text: str, name: str) -> yaml.Node | None:
    """Where the spec of a resource stands; None where there is no such resource."""
    for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
        if _scalar(root, "kind") == KIND and _scalar(value(root, "metadata"), "name") == name:
            return value(root, "spec")
    return None


def value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """The value under a name in a mapping; None where there is no such thing."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((each for key, each in node.value if key.value == name), None)


def _scalar(node: yaml.Node | None, name: str) -> str | None:
    found = value(node, name)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else None


def _is_one(document: Any) -> bool:
    if not isinstance(document, dict) or document.get("kind") != KIND:
        return False
    return str(document.get("apiVersion")).partition("/")[0] == _GROUP


def _policy(resource: Mapping[str, Any], path: Path) -> Policy:
    metadata, rule = resource.get("metadata"), resource.get("spec")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not isinstance(rule, dict):
        raise DataError(f"{path}: a {KIND} without metadata.name, or without spec")
    try:
        return catalogue.parse_resource(PolicyResource("", name, "", 0), rule)
    except catalogue.CatalogueError as error:
        raise DataError(f"{path}: {KIND} {name}: {error}") from error
