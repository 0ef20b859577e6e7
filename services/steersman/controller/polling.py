"""Asks every router for its report, all of them in one round."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from steersman.controller.ports import RouterLost, RouterReports
from steersman.controller.routers import Routers
from steersman.runtime.addresses import AddressSource

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Polling:
    """Keeps what is known of the routers up to date.

    Args:
        target: Where the routers are, as the address source understands it.
        source: Finds their addresses.
        reports: Asks one of them.
        concurrency: So many are asked at once.
    """

    target: str
    source: AddressSource
    reports: RouterReports
    concurrency: int

    async def round(self, routers: Routers) -> None:
        """Look for routers and ask each once; where they cannot be looked for, those that are known are asked."""
        try:
            routers.found(await self.source.addresses(self.target))
        except OSError as error:
            log.warning("routers not found", extra={"target": self.target, "error": str(error)})
        room = asyncio.Semaphore(self.concurrency)
        async with asyncio.TaskGroup() as group:
            for address in routers.addresses:
                group.create_task(self._ask(address, routers, room))

    async def _ask(self, address: str, routers: Routers, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                routers.heard(address, await self.reports.report(address))
            except RouterLost as lost:
                log.debug("router not heard", extra={"router": address, "error": str(lost)})
