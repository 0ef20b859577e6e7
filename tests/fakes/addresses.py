"""A fake address source: the test says which addresses there are, and when they cannot be found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fakes.gate import Gate


@dataclass
class FakeAddresses:
    """Implements `steersman.runtime.addresses.AddressSource`; its knobs are plain attributes."""

    found: Sequence[str] = ("fake:1",)
    down: bool = False
    asked: list[str] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)

    async def addresses(self, target: str) -> Sequence[str]:
        """See `steersman.runtime.addresses.AddressSource.addresses`."""
        self.asked.append(target)
        await self.gate.passed()
        if self.down:
            raise OSError("the name cannot be resolved")
        return list(self.found)
