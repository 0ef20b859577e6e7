"""Half of what the system can do, for as long as one likes: memory, descriptors and tasks of every process."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import psutil
from benchmarks.chaos.asking import Callers, callers
from benchmarks.chaos.stand import Room, Stand, stand
from benchmarks.chaos.traffic import prompt, traffic
from benchmarks.chaos.watching import text_of, total

_MIX: Final = (*("Route",) * 24, "Chat", *("Route",) * 24, "HTTP", *("Route",) * 24, "Complete")
"""Mostly decisions: on two cores engines answer a few requests a second."""
_STREAMS: Final = 16
_SATURATE_SECONDS: Final = 10.0
_SAMPLE_SECONDS: Final = 5.0
_SETTLED: Final = 0.2
"""Part of the time after which caches and pools are as large as they get."""
_ROOM: Final = Room(entries=2000, megabytes=8)
"""So little that it is full by then: what grows afterwards is no memory of requests."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment; of its children too, but for tasks, which are -1 where it tells none."""

    process: str
    at: float
    mebibytes: float
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it.

    Attributes:
        rate: Requests a second: half of what as many callers as can be told apart got.
        failed: Not answered to their last byte.
        growth: Of memory, from a fifth of the time to the end, in percent by process: means of ten samples.
        descriptors: At a fifth of the time, and in the end, by process.
        tasks: The same.
    """

    minutes: float
    rate: float
    requests: int
    failed: int
    errors: Mapping[str, int]
    growth: Mapping[str, float]
    descriptors: Mapping[str, tuple[int, int]]
    tasks: Mapping[str, tuple[int, int]]
    samples: Sequence[Sample]


async def soak(folder: Path, minutes: float, picture: Path, tell: Callable[[str], None]) -> Soaked:
    """Load a system for so long."""
    async with stand(folder, room=_ROOM) as system, callers(system.grpc, system.http) as asking:
        await asking.ask("Chat", prompt(0, "Chat"), 0.0, time.perf_counter())
        rate = await _saturation(asking) / 2
        tell(f"Soaking at {rate:.0f} requests a second for {minutes:g} minutes ...")
        async with aiohttp.ClientSession() as session, traffic(asking, rate=rate, mix=_MIX) as load:
            samples: list[Sample] = []
            while load.now < minutes * 60:
                samples += [await _sample(session, system, name, load.now) for name in system.processes]
                await asyncio.sleep(_SAMPLE_SECONDS)
        asked = load.asked
    _draw(picture, samples)
    return _figures(minutes, rate, [(each.outcome, each.error) for each in asked], samples)


async def _saturation(asking: Callers) -> float:
    """Requests a second of callers who ask again as soon as they have an answer."""
    numbers, started = itertools.count(), time.perf_counter()
    made = 0

    async def stream() -> None:
        nonlocal made
        while (now := time.perf_counter()) < started + _SATURATE_SECONDS:
            number = next(numbers)
            kind = _MIX[number % len(_MIX)]
            await asking.ask(kind, prompt(number, kind), now - started, started)
            made += 1

    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    return made / (time.perf_counter() - started)


async def _sample(session: aiohttp.ClientSession, system: Stand, name: str, at: float) -> Sample:
    root = psutil.Process(system.processes[name].pid)
    family = [root, *root.children(recursive=True)]
    tasks = -1.0
    if name in system.metrics:
        with suppress(aiohttp.ClientError, TimeoutError):
            tasks = total([await text_of(session, system.metrics[name])], "steersman_tasks")
    return Sample(
        process=name,
        at=at,
        mebibytes=sum(each.memory_info().rss for each in family) / 2**20,
        descriptors=sum(each.num_fds() for each in family),
        tasks=int(tasks),
    )


def _figures(
    minutes: float, rate: float, outcomes: Sequence[tuple[str, str]], samples: Sequence[Sample]
) -> Soaked:
    by_process: dict[str, list[Sample]] = {}
    for sample in samples:
        by_process.setdefault(sample.process, []).append(sample)
    settled = {name: some[int(_SETTLED * len(some)) :] for name, some in by_process.items()}
    return Soaked(
        minutes=minutes,
        rate=rate,
        requests=len(outcomes),
        failed=sum(outcome != "answered" for outcome, _ in outcomes),
        errors=dict(
            Counter(f"{outcome} {error[:160]}" for outcome, error in outcomes if outcome != "answered")
        ),
        growth={name: round(_growth(some), 2) for name, some in settled.items()},
        descriptors={name: (some[0].descriptors, some[-1].descriptors) for name, some in settled.items()},
        tasks={name: (some[0].tasks, some[-1].tasks) for name, some in settled.items() if some[0].tasks >= 0},
        samples=samples,
    )


def _growth(samples: Sequence[Sample]) -> float:
    """Percent between the means of the first and the last ten."""
    first, last = samples[:10], samples[-10:]
    before, after = (sum(each.mebibytes for each in some) / len(some) for some in (first, last))
    return 100 * (after / before - 1)


def _draw(path: Path, samples: Sequence[Sample]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - a second that only a picture should cost

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, all_axes = plt.subplots(3, 1, sharex=True, figsize=(12, 12), layout="constrained")
    for axes, name in zip(all_axes, ("mebibytes", "descriptors", "tasks"), strict=True):
        for process in sorted({sample.process for sample in samples}):
            some = [each for each in samples if each.process == process and getattr(each, name) >= 0]
            axes.plot([each.at / 60 for each in some], [getattr(each, name) for each in some], label=process)
        axes.set_ylabel(name)
    all_axes[0].legend(ncols=3, fontsize=8)
    all_axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=90)
    plt.close(figure)
