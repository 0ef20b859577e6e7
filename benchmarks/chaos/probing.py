"""A router's probes while it has much to do: as kubelet asks, by a connection each, with the patience of the chart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from steersman.local.probes import grpc_serving

_EVERY_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 3.0
"""That of readiness, which is the shorter one."""


@dataclass(slots=True)
class Probed:
    """What came of them.

    Attributes:
        seconds: That each took which was answered with SERVING.
        missed: Those that were not.
    """

    seconds: list[float] = field(default_factory=list)
    missed: int = 0


@asynccontextmanager
async def probed(address: str) -> AsyncIterator[Probed]:
    """Probe a port for health, HOST:PORT, while the context lasts; what came of it is told as it comes."""
    seen = Probed()
    asking = asyncio.create_task(_ask(address, seen))
    try:
        yield seen
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


async def _ask(address: str, seen: Probed) -> None:
    serving = grpc_serving(address, seconds=_PATIENCE_SECONDS)
    while True:
        began = time.perf_counter()
        if await serving():
            seen.seconds.append(time.perf_counter() - began)
        else:
            seen.missed += 1
        await asyncio.sleep(_EVERY_SECONDS)
