"""Listens to every router: one stream an address, opened anew when it breaks, for as long as the address is known."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from steersman.runtime.addresses import AddressSource
from steersman.runtime.backoff import Backoff
from steersman.runtime.tasks import BackgroundTasks
from steersman.scaler.demand import Demand
from steersman.scaler.news import News
from steersman.scaler.ports import RouterDemand, RouterLost

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_SECONDS: Final = 0.1


@dataclass(slots=True)
class Listening:
    """Keeps demand up to date.

    Args:
        target: Where the routers are, as the address source understands it.
        source: Finds their addresses.
        routers: Reports their demand.
        demand: Is told what they report.
        news: Told of each change.
        tasks: Owns the streams.
        refresh_seconds: Time between two looks at the source.
        longest_pause_seconds: Longest time between two attempts at one address.
    """

    target: str
    source: AddressSource
    routers: RouterDemand
    demand: Demand
    news: News
    tasks: BackgroundTasks
    refresh_seconds: float
    longest_pause_seconds: float
    _listened_to: set[str] = field(default_factory=set)

    async def follow(self) -> None:
        """Look for routers again and again; for a background task."""
        while True:
            await self.refresh()
            await asyncio.sleep(self.refresh_seconds)

    async def refresh(self) -> None:
        """Look for routers once; when the source cannot be asked, what is known stays."""
        try:
            addresses = await self.source.addresses(self.target)
        except OSError as error:
            log.warning("routers not found", extra={"target": self.target, "error": str(error)})
            return
        self.demand.found(addresses)
        self.news.tell()
        for address in set(addresses) - self._listened_to:
            self._listened_to.add(address)
            self.tasks.start("demand of a router", partial(self._listen, address))

    async def _listen(self, address: str) -> None:
        # With jitter, so that two scalers do not knock at the same time.
        backoff = Backoff(_SHORTEST_PAUSE_SECONDS, self.longest_pause_seconds)
        while self.demand.expects(address):
            if await self._hear(address):
                backoff.reset()
            await asyncio.sleep(backoff.next())
        self._listened_to.discard(address)

    async def _hear(self, address: str) -> bool:
        """Listen until the stream ends; whether anything was heard."""
        reported, why = False, "the router ended the stream"
        try:
            async with aclosing(self.routers.reports(address)) as reports:
                async for report in reports:
                    reported = True
                    self.demand.heard(address, report)
                    self.news.tell()
        except RouterLost as lost:
            why = str(lost)
        finally:
            self.demand.lost(address)
            self.news.tell()
        if reported:
            log.info("router lost", extra={"router": address, "error": why})
        return reported
