"""A fake of the score store that replicas share: a dictionary that can be down, slow, or full."""

from __future__ import annotations

from dataclasses import dataclass, field

from fakes.gate import Gate
from steersman.router.model import Assessment
from steersman.router.ports import StoreUnavailable


@dataclass
class FakeScoreStore:
    """Implements `steersman.router.ports.ScoreStore`; its knobs are plain attributes."""

    entries: dict[bytes, Assessment] = field(default_factory=dict)
    down: bool = False
    gate: Gate = field(default_factory=Gate)
    """Where look-ups wait while it is closed."""
    asked: list[bytes] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)

    async def get(self, key: bytes) -> Assessment | None:
        """See `steersman.router.ports.ScoreStore.get`."""
        self.asked.append(key)
        await self.gate.passed()
        if self.down:
            raise StoreUnavailable
        return self.entries.get(key)

    def put(self, key: bytes, assessment: Assessment) -> None:
        """See `steersman.router.ports.ScoreStore.put`."""
        self.written.append(key)
        if not self.down:
            self.entries[key] = assessment
