"""A fake of a store that replicas share: a dictionary that can be down, slow, or full."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fakes.gate import Gate
from steersman.router.ports import StoreUnavailable

V = TypeVar("V")


@dataclass
class FakeStore(Generic[V]):
    """Implements `steersman.router.ports.SharedStore`; its knobs are plain attributes."""

    entries: dict[bytes, V] = field(default_factory=dict)
    down: bool = False
    gate: Gate = field(default_factory=Gate)
    """Where look-ups wait while it is closed."""
    asked: list[bytes] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)

    async def get(self, key: bytes) -> V | None:
        """See `steersman.router.ports.SharedStore.get`."""
        self.asked.append(key)
        await self.gate.passed()
        if self.down:
            raise StoreUnavailable
        return self.entries.get(key)

    def put(self, key: bytes, value: V) -> None:
        """See `steersman.router.ports.SharedStore.put`."""
        self.written.append(key)
        if not self.down:
            self.entries[key] = value
