"""A Lease in memory: the test says when it cannot be had."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from steersman.controller.lease import Lease
from steersman.runtime.kubernetes.api import Conflict, Unreachable


@dataclass
class FakeLeases:
    """Implements `steersman.controller.ports.Leases`; its knobs are plain attributes."""

    stored: Lease | None = None
    down: bool = False
    hangs: bool = False
    writes: int = 0
    written: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by each write."""
    _answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> Lease | None:
        """See `steersman.controller.ports.Leases.read`."""
        await self._reach()
        return self.stored

    async def write(self, lease: Lease) -> Lease:
        """See `steersman.controller.ports.Leases.write`."""
        await self._reach()
        return self.store(lease)

    def store(self, lease: Lease) -> Lease:
        """Store it at once, whatever the knobs say."""
        if lease.version != (self.stored.version if self.stored else ""):
            raise Conflict("409: it has changed")
        self.writes += 1
        self.written.set()
        self.stored = replace(lease, version=str(self.writes))
        return self.stored

    async def _reach(self) -> None:
        if self.hangs:
            await self._answers.wait()  # for ever
        if self.down:
            raise Unreachable("nobody answers")
