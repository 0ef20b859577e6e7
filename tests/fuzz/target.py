"""One thing that parses, and what is fuzzed of it: inputs go in, and an outcome or a failure comes out.

A failure is any exception that the target itself does not name as its own, a case that takes too long, or memory that
grows with the number of cases.
"""

from __future__ import annotations

import asyncio
import gc
import random
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

import psutil

from fuzz.mutation import Mutator

Check = Callable[[bytes], Awaitable[str]]
"""Has an input parsed; returns how it was answered, in few words; raises where it should not have been so."""

LONGEST_SECONDS: Final = 10.0
"""A case that takes longer hangs; far more than any needs on a busy machine."""
MOST_GROWTH: Final = 64 * 2**20
"""Bytes that a process may grow by over all cases of a target but the first tenth."""
_VARYING: Final = re.compile(r"[0-9]+|'[^']*'|\"[^\"]*\"")


class Hang(BaseException):
    """A case took too long; no `except Exception` on the way takes it for an answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that parses.

    Args:
        name: What is fuzzed.
        corpus: Valid inputs.
        open: Gives a check, as long as the context lasts.
        tokens: Words of the format.
        structured: Whether inputs are JSON.
        streams: Inputs at once.
        weight: Its part of the cases of a run, relative to the others'.
    """

    name: str
    corpus: Sequence[bytes]
    open: Callable[[], AbstractAsyncContextManager[Check]]
    tokens: Sequence[bytes] = ()
    structured: bool = False
    streams: int = 1
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that was not answered as it should have been."""

    target: str
    data: bytes
    error: BaseException

    def __str__(self) -> str:
        told = f"{type(self.error).__name__}: {self.error}"
        return f"{self.target}: {told[:300]} at {_place(self.error)} for {self.data[:1000]!r}"

    @property
    def kind(self) -> tuple[type[BaseException], str]:
        """What makes two failures the same."""
        return type(self.error), _place(self.error)


@dataclass(slots=True)
class Report:
    """What came of fuzzing one target."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    growth: int = 0
    """Bytes of resident memory from a tenth of the cases to their end."""
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def kinds(self) -> list[Failure]:
        """The shortest input for each kind of failure."""
        longest_first = sorted(self.failures, key=lambda failure: len(failure.data), reverse=True)
        return list({failure.kind: failure for failure in longest_first}.values())


async def fuzz(
    target: Target,
    *,
    cases: int,
    seed: int,
    seconds: float = float("inf"),
    most_failures: int = 100,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Try so many cases, or for so long; each batch is made before it is tried, so that a seed tells all."""
    report, started, process = Report(target.name), time.perf_counter(), psutil.Process()
    mutator = Mutator(
        random.Random(f"{seed} {target.name}"),  # noqa: S311 - no secret
        list(target.corpus),
        target.tokens,
        target.structured,
    )
    settled = 0
    async with target.open() as check:
        await _prove_corpus(target, check)
        while report.cases < cases and time.perf_counter() - started < seconds:
            batch = [mutator.next() for _ in range(min(target.streams, cases - report.cases))]
            with _limit():
                outcomes = await _tried(target, check, batch, report)
            for data, outcome in zip(batch, outcomes, strict=True):
                if outcome not in report.outcomes:
                    mutator.learn(data)
                report.outcomes[outcome] = report.outcomes.get(outcome, 0) + 1
            report.cases += len(batch)
            on_progress(len(batch))
            if not settled and report.cases >= cases / 10:
                settled = process.memory_info().rss
            if len(report.failures) >= most_failures:
                break
    gc.collect()
    report.growth = process.memory_info().rss - settled if settled else 0
    report.seconds = time.perf_counter() - started
    return report


async def _prove_corpus(target: Target, check: Check) -> None:
    """A corpus that is not valid finds little."""
    for data in target.corpus:
        outcome = await check(data)
        if not outcome.startswith("ok"):
            raise AssertionError(f"{target.name}: {outcome} for the valid {data[:300]!r}")


async def _tried(target: Target, check: Check, batch: Sequence[bytes], report: Report) -> list[str]:
    if len(batch) == 1:
        return [await _try(target, check, batch[0], report)]
    async with asyncio.timeout(LONGEST_SECONDS):
        return list(await asyncio.gather(*(_try(target, check, data, report) for data in batch)))


async def _try(target: Target, check: Check, data: bytes, report: Report) -> str:
    started = time.perf_counter()
    try:
        return _VARYING.sub("#", await check(data))[:80]
    except (Exception, Hang) as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        report.failures.append(Failure(target.name, data, error))
        return f"failure: {type(error).__name__} {_place(error)}"
    finally:
        report.slowest = max(report.slowest, time.perf_counter() - started)


def _place(error: BaseException) -> str:
    """Where an error was raised, by which two failures are the same."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"


@contextmanager
def _limit() -> Iterator[None]:
    """Ends what takes too long, code that never awaits too."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _hangs(_: int, frame: FrameType | None) -> None:
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "nowhere"
    raise Hang(f"more than {LONGEST_SECONDS:g} s, at {where}")
