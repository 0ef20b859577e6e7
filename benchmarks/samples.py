"""Timed runs: of one side, or of several in turn, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from benchmarks.cpu import CpuMeter, used
from benchmarks.load import Load, closed_loop, open_loop

R = TypeVar("R")

MOST_WRONG: Final = 0.02
"""Share of wrong answers that is tolerated: on a busy machine a classification now and then misses its deadline."""
GENERATOR: Final = "generator"
"""This process, whose time is told but counted on no side."""


class WrongAnswers(Exception):
    """So many answers were not what they should have been that the number of the others means nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often to measure.

    Attributes:
        rounds: Timed runs of each side.
        seconds: Of each.
        warm_up_seconds: Of load before each, which is not counted.
    """

    rounds: int
    seconds: float
    warm_up_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed run of one side.

    Attributes:
        count: What was counted: right answers, or their chunks.
        wrong: Answers that were not counted.
        seconds: How long it took.
        p50_ms: Median time of an answer.
        p99_ms: The time that one answer in a hundred exceeded.
        cpu_seconds: Processor time by process, this one's too.
        resident_mib: Memory of this side's processes at its end.
    """

    count: int
    wrong: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: Mapping[str, float]
    resident_mib: float = 0.0

    @property
    def rate(self) -> float:
        """Counted a second."""
        return self.count / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Counted a second of processor time of this side's processes."""
        return self.count / sum(taken for name, taken in self.cpu_seconds.items() if name != GENERATOR)


@dataclass(frozen=True, slots=True)
class Side(Generic[R]):
    """One side of a comparison.

    Attributes:
        name: What it is, and what it is in front of.
        ask: Asks one question.
        questions: What is asked, without end.
        units: What an answer counts for; 0 when it is wrong.
        processes: Ids, by name, of those whose processor time is this side's.
        replicas: Servers that share the questions; a closed loop has as many streams for each of them.
    """

    name: str
    ask: Callable[[bytes], Awaitable[R]]
    questions: Iterator[bytes]
    units: Callable[[R], int]
    processes: Mapping[str, int]
    replicas: int = 1

    def call(self) -> Awaitable[R]:
        """Ask the next question."""
        return self.ask(next(self.questions))


async def measured(side: Side[R], produce: Callable[[], Awaitable[Load[R]]]) -> Sample:
    """Time one load.

    Raises:
        WrongAnswers: There were too many.
    """
    meter = CpuMeter(side.processes)
    before, own = meter.read(), time.process_time()
    load = await produce()
    taken = {**used(before, meter.read()), GENERATOR: time.process_time() - own}
    counts = [side.units(answer) for answer in load.answers]
    wrong = counts.count(0)
    if wrong > MOST_WRONG * len(counts):
        raise WrongAnswers(f"{side.name}: {wrong} of {len(counts)} answers are wrong")
    return Sample(
        count=sum(counts),
        wrong=wrong,
        seconds=load.seconds,
        p50_ms=1000 * percentile(load.waits, 50),
        p99_ms=1000 * percentile(load.waits, 99),
        cpu_seconds=taken,
        resident_mib=meter.resident_mib(),
    )


async def in_turn(sides: Sequence[Side[R]], plan: Plan, *, streams: int) -> list[list[Sample]]:
    """Time a closed loop on each side, one side after another, round by round; the samples by side."""

    async def run(side: Side[R]) -> Sample:
        many = streams * side.replicas
        await closed_loop(side.call, streams=many, seconds=plan.warm_up_seconds)
        return await measured(side, lambda: closed_loop(side.call, streams=many, seconds=plan.seconds))

    rounds = [[await run(side) for side in sides] for _ in range(plan.rounds)]
    return [list(samples) for samples in zip(*rounds, strict=True)]


async def at_even_moments(sides: Sequence[Side[R]], plan: Plan, *, rate: float) -> list[list[Sample]]:
    """Time an open loop of so many a second on each side, one side after another; the samples by side."""

    async def run(side: Side[R]) -> Sample:
        return await measured(side, lambda: open_loop(side.call, rate=rate, seconds=plan.seconds))

    rounds = [[await run(side) for side in sides] for _ in range(plan.rounds)]
    return [list(samples) for samples in zip(*rounds, strict=True)]


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many per cent of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


def median_ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """Median over rounds of one round's ratio, in which both sides met the same machine."""
    return statistics.median(mine / other for mine, other in zip(ours, others, strict=True))


def median_difference(ours: Sequence[float], others: Sequence[float]) -> float:
    """Median over rounds of what one round's figure was beyond the other's."""
    return statistics.median(mine - other for mine, other in zip(ours, others, strict=True))
