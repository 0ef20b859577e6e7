"""The fleets of all tiers, which come and go with the catalogue.

The waiting room is told how many addresses each tier has: the first one of a tier that had none wakes whoever waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from steersman.router.fleet import SOON_SECONDS, Fleet, Member
from steersman.router.model import UpstreamSpec
from steersman.router.ports import Load, Upstream
from steersman.router.waiting import WaitingRoom
from steersman.runtime.breaker import Breaker

_LOOK_SECONDS: Final = 0.5
_LOAD_SECONDS: Final = 1.0
_MOST_LOADS: Final = 64
"""Pods that are asked for their load in this time; more take turns, since all routers ask all pods."""


_Pod = tuple[Fleet[Upstream], Member[Upstream]]


@dataclass(slots=True)
class Upstreams:
    """Owns the fleets.

    Args:
        make: Makes a fleet for an upstream.
        room: Where requests wait for a tier without addresses.
        fleets: By tier; the dispatcher looks them up here.
    """

    make: Callable[[UpstreamSpec], Fleet[Upstream]]
    room: WaitingRoom
    fleets: dict[str, Fleet[Upstream]] = field(default_factory=dict)
    _specs: dict[str, UpstreamSpec] = field(default_factory=dict)
    _leaving: list[Fleet[Upstream]] = field(default_factory=list)
    _asked: int = 0
    """How many pods have been asked for their load in this round of all of them."""

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

        Raises:
            OSError: One of them cannot be made, as without a file that its upstream names; then all stay as they are.
        """
        made = await self._made({name: spec for name, spec in specs.items() if self._specs.get(name) != spec})
        for name in set(self.fleets) - set(specs):
            self._leave(name)
        for name, fleet in made.items():
            self._leave(name)
            self.fleets[name], self._specs[name] = fleet, specs[name]
            self.room.found(name, len(fleet.members))

    async def _made(self, specs: Mapping[str, UpstreamSpec]) -> dict[str, Fleet[Upstream]]:
        """New fleets, whose addresses have been looked for: all of them, or none."""
        fleets: dict[str, Fleet[Upstream]] = {}
        try:
            for name, spec in specs.items():
                fleets[name] = self.make(spec)
                await fleets[name].refresh()
        except BaseException:
            for fleet in fleets.values():
                await fleet.close()
            raise
        return fleets

    async def keep_fresh(self, seconds: float) -> None:
        """Follow the addresses of all fleets; for a background task.

        Args:
            seconds: Between two looks; at a tier that requests wait for, a quarter of a second.
        """
        while True:
            for _ in range(max(1, round(seconds / SOON_SECONDS))):
                await asyncio.sleep(min(seconds, SOON_SECONDS))
                await self._look([name for name in self.fleets if self.room.awaits(name)])
            await self._look(list(self.fleets))
            await self._close_idle()

    async def keep_loads_fresh(self) -> None:
        """Have pods say how busy they are, every second; for a background task."""
        while True:
            await asyncio.sleep(_LOAD_SECONDS)
            await self.ask_for_loads()

    async def ask_for_loads(self) -> None:
        """Ask them, at once or in turns; one that used to answer and does not hangs.

        A tier's only pod is asked too: what takes long there is waited for while it says that it works.
        """
        fleets = list(self.fleets.values())
        asked = self._next_asked([(fleet, member) for fleet in fleets for member in fleet.members])
        answers = await asyncio.gather(*(member.client.load() for _, member in asked), return_exceptions=True)
        for (fleet, member), load in zip(asked, answers, strict=True):
            if isinstance(load, Load):
                fleet.heard(member, load)
            else:  # or it has left meanwhile, and the call was cancelled with its channel
                member.missed += 1
        for fleet in fleets:
            fleet.tell_silence()

    def _next_asked(self, pods: list[_Pod]) -> list[_Pod]:
        if self._asked >= len(pods):
            self._asked = 0
        first, self._asked = self._asked, self._asked + _MOST_LOADS
        return pods[first : self._asked]

    async def look(self, name: str) -> None:
        """Look for the addresses of a tier that does not answer: its last one may have left since the last look.

        Takes half a second at most: whoever asks is on a request's path.
        """
        if (fleet := self.fleets.get(name)) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._refresh(name, fleet, unless_newer=SOON_SECONDS)

    async def _look(self, names: Sequence[str]) -> None:
        """Look for the addresses of these tiers, all at once, so that none waits for the name of another."""
        await asyncio.gather(*(self._refresh(name, self.fleets[name]) for name in names))

    async def _refresh(self, name: str, fleet: Fleet[Upstream], *, unless_newer: float = 0.0) -> None:
        await fleet.refresh(unless_newer=unless_newer)
        if self.fleets.get(name) is fleet:  # and was not replaced meanwhile
            self.room.found(name, len(fleet.members))

    def _leave(self, name: str) -> None:
        if name in self.fleets:
            self._leaving.append(self.fleets.pop(name))
            del self._specs[name]

    async def _close_idle(self) -> None:
        for fleet in [each for each in self._leaving if not each.busy]:
            self._leaving.remove(fleet)
            await fleet.close()
