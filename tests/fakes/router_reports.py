"""Routers' reports in memory: the test says what each reports, and which cannot be asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from steersman.controller.model import Report
from steersman.controller.ports import RouterLost


@dataclass
class FakeRouterReports:
    """Implements `steersman.controller.ports.RouterReports`, by address; its knobs are plain attributes."""

    reports: dict[str, Report] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    asked_at_once: int = 0
    """The most that were asked at the same time."""
    _asking: int = 0

    async def report(self, address: str) -> Report:
        """See `steersman.controller.ports.RouterReports.report`."""
        self.asked.append(address)
        self._asking += 1
        self.asked_at_once = max(self.asked_at_once, self._asking)
        try:
            await asyncio.sleep(0)
            return self.reports[address]
        except KeyError:
            raise RouterLost("there is nobody") from None
        finally:
            self._asking -= 1
