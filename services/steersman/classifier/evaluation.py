"""A method against the benchmarks, with the three rows that keep a result honest.

Random is the floor and oracle the ceiling. Prompt length costs nothing and does well on these benchmarks; a method
that does not beat it has learnt nothing of use to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.benchmarks import Benchmark
from steersman.classifier.metrics import Curve, Ranking

Floats = npt.NDArray[np.float64]
Rater = Callable[[Sequence[str]], Floats]
"""Scores of prompts, higher to strong first."""

_MEASURES: dict[str, Callable[[Curve], float]] = {
    "CPT(50)": lambda curve: curve.cpt(50),
    "CPT(80)": lambda curve: curve.cpt(80),
    "APGR": Curve.apgr,
}
_LEVEL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its bootstrap 95 % interval over the benchmark's queries."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the report."""

    benchmark: str
    queries: int
    method: str
    measures: dict[str, Estimate]
    """By name: CPT(50), CPT(80), APGR."""


def evaluate(
    benchmarks: Sequence[Benchmark], *, method: str, rate: Rater, resamples: int, seed: int
) -> Iterator[Result]:
    """Measure a method beside random, oracle and prompt length.

    Every row of a benchmark sees the same resamples. The same seed gives the same digits.
    """
    for benchmark in benchmarks:
        gains = benchmark.strong - benchmark.weak
        count = len(gains)
        ratings = {
            "random": np.zeros(count),
            "oracle": gains,
            "prompt length": np.array([len(prompt) for prompt in benchmark.prompts], dtype=np.float64),
            method: rate(benchmark.prompts),
        }
        for name, scores in ratings.items():
            measures = _measure(Ranking(scores, gains), count=count, resamples=resamples, seed=seed)
            yield Result(benchmark=benchmark.name, queries=count, method=name, measures=measures)


def _measure(ranking: Ranking, *, count: int, resamples: int, seed: int) -> dict[str, Estimate]:
    generator = np.random.default_rng(seed)
    uniform = np.full(count, 1 / count)
    whole = ranking.curve()
    resampled = [
        ranking.curve(generator.multinomial(count, uniform).astype(np.float64)) for _ in range(resamples)
    ]
    return {
        name: _estimate(measure(whole), np.array([measure(curve) for curve in resampled]))
        for name, measure in _MEASURES.items()
    }


def _estimate(value: float, resampled: Floats) -> Estimate:
    low, high = np.nanpercentile(resampled, _LEVEL) if resampled.size else (np.nan, np.nan)
    return Estimate(value=value, low=float(low), high=float(high))
