"""New boundaries in a file of policies that people keep: only the numbers change, every other character stays.

It is the routers' policy file, or one of RoutingPolicy resources. YAML knows where in the text a value stands, so that
no comment, order or quoting has to be understood. What comes out is read again as the router reads it, and is refused
when anything but the one policy's boundaries is another.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from steersman.calibration import resource_file
from steersman.calibration.resource_file import value
from steersman.classifier.errors import DataError
from steersman.router import catalogue
from steersman.router.model import Catalogue, Policy


class _AnyKey(Mapping[str, str]):
    """An environment in which every variable is set: the keys of upstreams are no business of this command."""

    def __getitem__(self, name: str) -> str:
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def read(path: Path) -> str:
    """A policy file's text.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8") from error


def parse(text: str, path: Path) -> Catalogue:
    """A policy file's tiers and policies, as the router reads them.

    Raises:
        DataError: It is not valid.
    """
    try:
        return catalogue.parse(text.encode(), environment=_AnyKey())
    except catalogue.CatalogueError as error:
        raise DataError(f"{path}: {error}") from error


def parse_either(text: str, path: Path) -> Catalogue:
    """The policies of either kind of file. Resources have no tiers, and a default policy only where there is but one.

    Raises:
        DataError: It is not valid.
    """
    if not resource_file.holds_resources(text):
        return parse(text, path)
    policies = resource_file.policies(text, path)
    return Catalogue({}, policies, next(iter(policies)) if len(policies) == 1 else "")


def policy_of(read: Catalogue, name: str | None, path: Path) -> Policy:
    """A policy by its name, or the default one.

    Raises:
        DataError: There is none of that name, or none was named and there are several resources.
    """
    policy = read.policies.get(name or read.default_policy)
    if policy is None:
        there = ", ".join(read.policies)
        raise DataError(
            f"{path}: no policy {name}; there are {there}"
            if name
            else f"{path} holds several policies; say which with --policy: {there}"
        )
    return policy


def with_boundaries(text: str, path: Path, *, policy: str, boundaries: Sequence[float]) -> str:
    """The text with other boundaries in a policy.

    Raises:
        DataError: The policy is not written out where its boundaries could be changed.
    """
    edited = text
    places = list(_numbers(_definition(text, policy), text))
    if len(places) == len(boundaries):
        for (start, end), boundary in reversed(list(zip(places, boundaries, strict=True))):
            edited = edited[:start] + repr(boundary) + edited[end:]
    before, after = parse_either(text, path), parse_either(edited, path)
    if after != _changed(before, after, policy, boundaries):
        wanted = ", ".join(map(repr, boundaries))
        raise DataError(
            f"{path}: the boundaries of {policy} are not written out there; write them yourself: {wanted}"
        )
    return edited


def replace(path: Path, text: str) -> None:
    """Put a text in a file's place at once, under the same permissions; where it is a link, in that of its target.

    Raises:
        DataError: It cannot be written.
    """
    target = path.resolve()
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(target, partial)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}") from error


def _definition(text: str, policy: str) -> yaml.Node | None:
    """Where a policy is defined."""
    if resource_file.holds_resources(text):
        return resource_file.spec(text, policy)
    return value(value(yaml.compose(text, Loader=yaml.SafeLoader), "policies"), policy)


def _numbers(definition: yaml.Node | None, text: str) -> Iterator[tuple[int, int]]:
    """Where the boundaries of a policy begin and end, in their order, as far as they are plain numbers."""
    boundaries = value(definition, "boundaries")
    nodes = (
        boundaries.value if isinstance(boundaries, yaml.SequenceNode) else [value(definition, "threshold")]
    )
    for each in nodes:
        if each is not None and text[each.start_mark.index : each.end_mark.index] == each.value:
            yield each.start_mark.index, each.end_mark.index


def _changed(before: Catalogue, after: Catalogue, policy: str, boundaries: Sequence[float]) -> Catalogue:
    """What should have come of the change. The version is made of all else, and is as it is."""
    changed = dataclasses.replace(
        before.policies[policy], boundaries=tuple(boundaries), version=after.policies[policy].version
    )
    return dataclasses.replace(before, policies={**before.policies, policy: changed})
