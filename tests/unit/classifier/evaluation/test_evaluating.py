from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.benchmarks import Benchmark
from steersman.classifier.evaluation import Result, evaluate

BENCHMARK = Benchmark(
    name="tides",
    prompts=tuple("x" * length for length in range(1, 41)),
    strong=np.ones(40),
    weak=np.array([0.0] * 20 + [1.0] * 20),
)


def results(seed: int = 0) -> dict[str, Result]:
    rows = evaluate(
        [BENCHMARK],
        method="shorter first",
        rate=lambda prompts: np.array([-float(len(prompt)) for prompt in prompts]),
        resamples=200,
        seed=seed,
    )
    return {row.method: row for row in rows}


def test_random_oracle_and_length_always_stand_beside_the_method() -> None:
    assert list(results()) == ["random", "oracle", "prompt length", "shorter first"]


def test_each_row_is_what_it_says() -> None:
    apgr = {name: row.measures["APGR"].value for name, row in results().items()}
    expected = {"random": 0.5, "oracle": 0.75, "prompt length": 0.25, "shorter first": 0.75}
    assert apgr == pytest.approx(expected)


def test_an_interval_holds_its_value() -> None:
    for row in results().values():
        for estimate in row.measures.values():
            assert estimate.low <= estimate.value <= estimate.high


def test_the_same_seed_gives_the_same_digits() -> None:
    assert results(seed=3) == results(seed=3)
    assert results(seed=3) != results(seed=4)
