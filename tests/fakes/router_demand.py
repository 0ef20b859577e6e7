"""Fake routers: the test says what each reports, and how it goes silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from steersman.scaler.model import Report
from steersman.scaler.ports import RouterLost

Word = Report | RouterLost | None
"""What comes on a stream: a report, how it breaks, or None for its end."""


@dataclass
class FakeRouter:
    """One router. What it says reaches all who listen; who comes later hears its last report first."""

    last: Report
    _streams: list[asyncio.Queue[Word]] = field(default_factory=list)

    @property
    def listeners(self) -> int:
        """Streams that are open."""
        return len(self._streams)

    def say(self, word: Word) -> None:
        """Report something, break off, or end the streams."""
        if isinstance(word, Report):
            self.last = word
        for stream in self._streams:
            stream.put_nowait(word)

    async def reports(self) -> AsyncGenerator[Report, None]:
        """What it reports."""
        stream: asyncio.Queue[Word] = asyncio.Queue()
        stream.put_nowait(self.last)
        self._streams.append(stream)
        try:
            while (word := await stream.get()) is not None:
                if isinstance(word, RouterLost):
                    raise word
                yield word
        finally:
            self._streams.remove(stream)


@dataclass
class FakeRouters:
    """Implements `steersman.scaler.ports.RouterDemand`, by address."""

    routers: dict[str, FakeRouter] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def reports(self, address: str) -> AsyncGenerator[Report, None]:
        """See `steersman.scaler.ports.RouterDemand.reports`."""
        self.asked.append(address)
        if (router := self.routers.get(address)) is None:
            raise RouterLost("there is nobody")
        stream = router.reports()
        try:
            async for report in stream:
                yield report
        finally:
            await stream.aclose()
