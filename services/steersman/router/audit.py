"""The audit trail: a log line for each change of keys, policies, tiers and tenants that this router goes by.

A line of the logger `steersman.audit` says what is different, by names and digests, before and after. Who made a
change of a key stands in the file of keys; who wrote an object of the cluster, in the API server's own audit log.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Final

from steersman.identity import key_file
from steersman.identity.keys import ApiKey, Keyring
from steersman.router.model import Catalogue, Policy

log: Final = logging.getLogger("steersman.audit")

_DIGITS: Final = 12
_MOST_TOLD: Final = 20
"""Entries of a file's history that one line tells, the newest."""


def keys(before: Keyring, after: Keyring, *, source: str) -> None:
    """Other keys are in force.

    Args:
        before: Those that were.
        after: Those that are.
        source: Where they come from: `file` or `secret`.
    """
    if before == after:
        return
    old, new = _by_id(before), _by_id(after)
    known = set(before.history)
    new_entries = [each for each in after.history if each not in known][-_MOST_TOLD:]
    log.info(
        "keys changed",
        extra={
            "source": source,
            "digest_before": _digest(key_file.render(before.keys)),
            "digest_after": _digest(key_file.render(after.keys)),
            "added": sorted(new.keys() - old.keys()),
            "removed": sorted(old.keys() - new.keys()),
            "revoked": sorted(
                name for name, key in new.items() if key.revoked and not _revoked(old.get(name))
            ),
            "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
            "history": [f"{each.at.isoformat()} {each.by} {each.action} {each.id}" for each in new_entries],
        },
    )


def policies(before: Catalogue, after: Catalogue) -> None:
    """Another catalogue is in force."""
    log.info(
        "policies changed",
        extra={
            "policies": _difference(_versions(before.policies), _versions(after.policies)),
            "tiers": _difference(_digests(before.tiers), _digests(after.tiers)),
            "tenants": _difference(_digests(before.tenants or {}), _digests(after.tenants or {})),
            "default_policy": [before.default_policy, after.default_policy],
            "captured": {
                name: dict(rights.captured)
                for name, rights in (after.tenants or {}).items()
                if rights.captured
            },
            "tenants_told_apart": after.tenants is not None,
            "refused": [refusal.resource.name for refusal in after.refused],
        },
    )


def _versions(found: Mapping[str, Policy]) -> dict[str, str]:
    """What a policy is and where it comes from."""
    return {
        name: f"{policy.version} of {'file' if policy.resource is None else f'generation {policy.resource.generation}'}"
        for name, policy in found.items()
    }


def _digests(found: Mapping[str, object]) -> dict[str, str]:
    return {name: _digest(repr(value).encode()) for name, value in found.items()}


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str | None]]:
    """By name, what it was and what it is, of all that is different; None for what there is not."""
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def _by_id(ring: Keyring) -> dict[str, ApiKey]:
    return {key.id: key for key in ring.keys}


def _revoked(key: ApiKey | None) -> bool:
    return key is not None and key.revoked is not None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
