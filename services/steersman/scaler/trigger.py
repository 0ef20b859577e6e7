"""The metadata of a ScaledObject's trigger, read strictly: a name that is misspelt is told, not passed over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from steersman.runtime.errors import InvalidRequest
from steersman.scaler.model import CLASSIFIER, ROUTER, Part, Trigger, tier_part

_DEFAULT_TARGETS: Final = {"tier": 8.0, CLASSIFIER: 8.0, ROUTER: 64.0}
"""What one replica is to have where the trigger does not say: generations of a small engine's slots, calls of a
classifier on a few cores, and streams of one router process."""
_LARGEST: Final = 1e9
"""What a trigger may ask for; KEDA takes 64 bits."""
_OURS: Final = ("part", "targetPerReplica", "activation")
_KEDAS: Final = frozenset({"scalerAddress", "enableTLS", "unsafeSsl", "tlsCertFile"})
"""Metadata that is meant for KEDA, which passes it on all the same."""


def trigger_of(metadata: Mapping[str, str]) -> Trigger:
    """What a trigger asks for.

    Raises:
        InvalidRequest: The metadata makes no sense; says which key, and why.
    """
    for key in metadata:
        if key not in _OURS and key not in _KEDAS:
            raise _bad(key, f"is not known; known are {', '.join(_OURS)}")
    part = _part(metadata.get("part", ""))
    target = _number(metadata, "targetPerReplica", _DEFAULT_TARGETS[part.partition("/")[0]])
    if target <= 0:
        raise _bad("targetPerReplica", "must be above 0")
    activation = _number(metadata, "activation", 0.0)
    if activation < 0:
        raise _bad("activation", "must not be below 0")
    return Trigger(part, target, activation)


def _part(text: str) -> Part:
    kind, slash, name = text.partition("/")
    if kind == "tier" and name:
        return tier_part(name)
    if text in (CLASSIFIER, ROUTER) and not slash:
        return text
    raise _bad("part", f"must be tier/NAME, classifier or router, not {text[:80]!r}")


def _number(metadata: Mapping[str, str], key: str, default: float) -> float:
    if key not in metadata:
        return default
    try:
        number = float(metadata[key])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _bad(key, f"must be a number, not {metadata[key][:80]!r}")
    if abs(number) > _LARGEST:
        raise _bad(key, f"must be at most {_LARGEST:.0f}, not {metadata[key][:80]!r}")
    return number


def _bad(key: str, description: str) -> InvalidRequest:
    return InvalidRequest(f"scalerMetadata.{key[:80]}", description)
