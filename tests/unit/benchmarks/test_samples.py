from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat

import pytest
from benchmarks.load import Load
from benchmarks.samples import (
    GENERATOR,
    Plan,
    Sample,
    Side,
    WrongAnswers,
    in_turn,
    measured,
    median_ratio,
    percentile,
)


def sample(*, count: int = 100, seconds: float = 2.0, cpu: float = 0.5) -> Sample:
    taken = {"router": cpu, "triton": cpu, GENERATOR: 9.0}
    return Sample(count=count, wrong=0, seconds=seconds, p50_ms=1.0, p99_ms=2.0, cpu_seconds=taken)


async def ask(question: bytes) -> bytes:
    return question


def side(*questions: bytes) -> Side[bytes]:
    return Side("side", ask, iter(questions), lambda answer: int(answer == b"right"), {})


def load_of(answers: Sequence[bytes]) -> Load[bytes]:
    return Load(seconds=2.0, waits=[0.001] * len(answers), answers=list(answers))


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_the_value_of_its_nearest_rank(percent: int, value: int) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([0.25], 99) == 0.25


def test_a_ratio_is_the_median_of_what_each_round_found() -> None:
    # The machine was slow in the last round, for both sides: their medians alone would say 60 / 100.
    assert median_ratio([50.0, 60.0, 10.0], [100.0, 100.0, 20.0]) == 0.5


def test_a_rate_counts_wall_clock_time() -> None:
    assert sample(count=100, seconds=2.0).rate == 50.0


def test_processor_time_is_that_of_all_processes_but_the_generator() -> None:
    assert sample(count=100, cpu=0.5).per_cpu_second == 100.0


async def test_a_sample_counts_right_answers_and_tells_the_wrong_ones() -> None:
    async def produce() -> Load[bytes]:
        return load_of([b"right"] * 99 + [b"wrong"])

    found = await measured(side(), produce)

    assert (found.count, found.wrong, found.p50_ms) == (99, 1, 1.0)


async def test_too_many_wrong_answers_are_no_sample() -> None:
    async def produce() -> Load[bytes]:
        return load_of([b"right"] * 90 + [b"wrong"] * 10)

    with pytest.raises(WrongAnswers, match="10 of 100"):
        await measured(side(), produce)


async def test_a_side_asks_its_questions_in_order() -> None:
    asked = side(b"first", b"second")

    assert [await asked.call(), await asked.call()] == [b"first", b"second"]


async def test_each_replica_of_a_side_is_asked_in_as_many_streams() -> None:
    outstanding = most = 0

    async def counted(question: bytes) -> bytes:
        nonlocal outstanding, most
        outstanding += 1
        most = max(most, outstanding)
        await asyncio.sleep(0)
        outstanding -= 1
        return question

    two = replace(side(), ask=counted, questions=repeat(b"right"), replicas=2)

    await in_turn([two], Plan(rounds=1, seconds=0.01, warm_up_seconds=0.0), streams=3)

    assert most == 6
