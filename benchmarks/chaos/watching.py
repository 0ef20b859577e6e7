"""What the routers' own metrics say while something is wrong: breakers, and demand that was not met."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

_STATES: Final = ("closed", "half-open", "open")
_BREAKER: Final = re.compile(
    r'^steersman_breaker_state\{[^}]*?"(?P<part>\w+)"[^}]*\} (?P<state>[0-9.]+)', re.MULTILINE
)
_PAUSE_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 1.0


@dataclass(slots=True)
class Breakers:
    """The breakers of all routers, looked at several times a second.

    Attributes:
        now: State of each part's worst breaker, by router and part.
        seen: Every state that each part's worst breaker has been seen in, since it was last forgotten.
    """

    now: dict[tuple[str, str], str] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """Whether all are."""
        return all(state == _STATES[0] for state in self.now.values())

    def forget(self) -> None:
        """Begin anew with what is seen."""
        self.seen = {}

    def told(self) -> dict[str, list[str]]:
        """What was seen beside closed ones, by part."""
        return {
            part: sorted(states - {_STATES[0]}, key=_STATES.index)
            for part, states in sorted(self.seen.items())
            if states != {_STATES[0]}
        }

    def note(self, router: str, metrics: str) -> None:
        """Take over what one router says."""
        for found in _BREAKER.finditer(metrics):
            state = _STATES[int(float(found["state"]))]
            self.now[router, found["part"]] = state
            self.seen.setdefault(found["part"], set()).add(state)


@asynccontextmanager
async def watched_breakers(metrics: Mapping[str, str]) -> AsyncIterator[Breakers]:
    """The breakers of routers, by name and URL of their metrics, while the context lasts."""
    breakers = Breakers()
    async with aiohttp.ClientSession() as session:
        watching = asyncio.create_task(_watch(session, metrics, breakers))
        try:
            yield breakers
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _watch(session: aiohttp.ClientSession, metrics: Mapping[str, str], breakers: Breakers) -> None:
    while True:
        for router, url in metrics.items():
            with suppress(aiohttp.ClientError, TimeoutError):  # it may be the one that is away
                breakers.note(router, await text_of(session, url))
        await asyncio.sleep(_PAUSE_SECONDS)


async def text_of(session: aiohttp.ClientSession, url: str) -> str:
    """The metrics of a process, as they are written."""
    async with asyncio.timeout(_ANSWER_SECONDS), session.get(url) as response:
        return await response.text()


def total(metrics: Iterable[str], name: str, **labels: str) -> float:
    """The sum of a metric over processes, of those series that have these labels."""
    whole = 0.0
    for text in metrics:
        for line in text.splitlines():
            if line.startswith((f"{name}{{", f"{name} ")) and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                whole += float(line.rpartition(" ")[2])
    return whole
