"""Tenants for a benchmark: a file of API keys, what stands of them in the policy file, and how each shows who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from steersman.identity import key_file, keys
from steersman.identity.keys import ApiKey

AMPLE: Final[Mapping[str, float]] = {
    "requests_per_minute": 6e6,
    "tokens_per_minute": 6e9,
    "strong_calls_per_hour": 6e6,
    "usd_per_day": 1e6,
    "usd_per_month": 1e7,
    "concurrent_requests": 4096,
}
"""A limit of every kind, none of which a load reaches."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """Callers of a router.

    Attributes:
        rights: By tenant, as the policy file has them.
        key_file: The file of their keys.
        shown: The key of each.
    """

    rights: Mapping[str, Any]
    key_file: bytes
    shown: Mapping[str, str] = field(repr=False)

    @classmethod
    def named(cls, names: Sequence[str], *, limits: Mapping[str, float] = AMPLE) -> Self:
        """Tenants of these names, each with the same limits and a key of its own."""
        made: dict[str, tuple[str, ApiKey]] = {
            name: keys.make(name, created=datetime.now(UTC)) for name in names
        }
        return cls(
            rights={name: {"limits": dict(limits)} for name in names},
            key_file=key_file.render(kept for _, kept in made.values()),
            shown={name: shown for name, (shown, _) in made.items()},
        )

    def authorization(self, name: str) -> str:
        """What a tenant shows, in HTTP's header or gRPC's metadata of this name."""
        return f"Bearer {self.shown[name]}"
