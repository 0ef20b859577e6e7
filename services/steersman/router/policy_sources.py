"""Brings the policy file and the resources together: whenever one of them changes, the catalogue is merged anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from steersman.router.merging import Offer, merge
from steersman.router.model import Catalogue

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PolicySources:
    """What each source said last, and the catalogue that came of it.

    Args:
        apply: Puts a catalogue to use; what it could not put to use counts as not said.
    """

    apply: Callable[[Catalogue], Awaitable[None]]
    _file: Catalogue | None = None
    _offers: Sequence[Offer] = ()
    _in_force: Catalogue = field(default_factory=lambda: Catalogue({}, {}, ""))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take_file(self, file: Catalogue) -> None:
        """The policy file has been read."""
        async with self._turn:
            await self._merge(file, self._offers)
            self._file = file

    async def take_resources(self, offers: Sequence[Offer]) -> None:
        """The resources have been listed, or have changed: these are all that there are."""
        async with self._turn:
            if self._file is not None:
                await self._merge(self._file, offers)
            self._offers = offers

    async def _merge(self, file: Catalogue, offers: Sequence[Offer]) -> None:
        merged = merge(file, offers, before=self._in_force)
        if merged == self._in_force:  # as when only the status of a resource has changed
            return
        await self.apply(merged)
        before, self._in_force = self._in_force, merged
        _tell(before, merged)


def _tell(before: Catalogue, after: Catalogue) -> None:
    for refusal in after.refused:
        if refusal not in before.refused:
            log.error(
                "policy resource refused, what was in force stays",
                extra={
                    "policy": refusal.resource.name,
                    "generation": refusal.resource.generation,
                    "generation_in_force": refusal.generation_in_force,
                    "error": refusal.reason,
                },
            )
    for name, policy in after.policies.items():
        old = before.policies.get(name)
        if policy.resource is not None and policy != old:
            log.info(
                "policy resource taken",
                extra={"policy": name, "generation": policy.resource.generation, "version": policy.version},
            )
        elif policy.resource is None and old is not None and old.resource is not None:
            log.info("policy resource gone, the file's policy decides again", extra={"policy": name})
    for name in before.policies.keys() - after.policies.keys():
        log.info("policy gone", extra={"policy": name})
