"""The fleets of all tiers, which come and go with the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from steersman.router.fleet import SOON_SECONDS, Fleet
from steersman.router.model import UpstreamSpec
from steersman.router.ports import Upstream
from steersman.runtime.breaker import Breaker


@dataclass(slots=True)
class Upstreams:
    """Owns the fleets.

    Args:
        make: Makes a fleet for an upstream.
        fleets: By tier; the dispatcher looks them up here.
    """

    make: Callable[[UpstreamSpec], Fleet[Upstream]]
    fleets: dict[str, Fleet[Upstream]] = field(default_factory=dict)
    _specs: dict[str, UpstreamSpec] = field(default_factory=dict)
    _leaving: list[Fleet[Upstream]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for fleet in (*self.fleets.values(), *self._leaving):
            await fleet.close()

    @property
    def breakers(self) -> list[Breaker]:
        """Those of all addresses of all tiers, for metrics."""
        return [member.breaker for fleet in self.fleets.values() for member in fleet.members]

    async def apply(self, specs: Mapping[str, UpstreamSpec]) -> None:
        """Have a fleet for each tier, as the catalogue says now.

        A fleet whose upstream has not changed stays; one that has no place any more is closed when its last request
        has ended.
        """
        for name, spec in specs.items():
            if self._specs.get(name) == spec:
                continue
            fleet = self.make(spec)
            await fleet.refresh()
            self._leave(name)
            self.fleets[name], self._specs[name] = fleet, spec
        for name in set(self.fleets) - set(specs):
            self._leave(name)

    async def keep_fresh(self, seconds: float) -> None:
        """Follow the addresses of all fleets; for a background task."""
        while True:
            complete = all(fleet.members for fleet in self.fleets.values())
            await asyncio.sleep(seconds if complete else SOON_SECONDS)
            for fleet in list(self.fleets.values()):
                await fleet.refresh()
            await self._close_idle()

    def _leave(self, name: str) -> None:
        if name in self.fleets:
            self._leaving.append(self.fleets.pop(name))
            del self._specs[name]

    async def _close_idle(self) -> None:
        for fleet in [each for each in self._leaving if not each.busy]:
            self._leaving.remove(fleet)
            await fleet.close()
