"""One of two routers is told to end, again and again and at random moments, while callers go on asking."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos.asking import callers
from benchmarks.chaos.small_stand import Engine, small_stand
from benchmarks.chaos.traffic import traffic

RATE: Final = 30.0
_MIX: Final = ("Chat", "HTTP", "Complete", "Route")


@dataclass(frozen=True, slots=True)
class Drained:
    """What came of it.

    Attributes:
        times: Routers that were ended.
        requests: Made meanwhile.
        failed: Not answered to their last byte.
        slowest: Seconds of the slowest.
        longest_drain: Seconds from SIGTERM to the process's end.
        statuses: How the processes ended.
        errors: What callers were told.
    """

    times: int
    requests: int
    failed: int
    slowest: float
    longest_drain: float
    statuses: Mapping[str, int]
    errors: Mapping[str, int]


async def drain(folder: Path, times: int, seed: int, rate: float = RATE) -> Drained:
    """End routers so many times, with so many requests a second."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    statuses: Counter[str] = Counter()
    longest = 0.0
    async with (
        small_stand(folder, Engine(pieces=20, pause=0.02), routers=2) as stand,
        callers(stand.grpc, stand.http) as asking,
        traffic(asking, rate=rate, mix=_MIX) as load,
    ):
        await asyncio.sleep(1.0)
        for number in range(times):
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            router, sent = stand.routers[number % 2], time.perf_counter()
            router.send(signal.SIGTERM)
            statuses[str(await router.ended())] += 1
            longest = max(longest, time.perf_counter() - sent)
            await router.restart()
        await asyncio.sleep(1.0)
    return Drained(
        times=times,
        requests=len(load.asked),
        failed=sum(each.outcome != "answered" for each in load.asked),
        slowest=max(each.seconds for each in load.asked),
        longest_drain=longest,
        statuses=dict(statuses),
        errors=dict(
            Counter(f"{each.kind} {each.outcome} {each.error[:160]}" for each in load.asked if each.error)
        ),
    )
