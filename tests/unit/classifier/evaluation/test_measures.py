from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.evaluation.benchmark import Benchmark, Costs
from steersman.classifier.evaluation.measures import GRID, of_ranking
from steersman.classifier.metrics import Ranking

BENCHMARK = Benchmark(
    name="four",
    prompts=("a", "b", "c", "d"),
    strong=np.ones(4),
    weak=np.array([0.0, 0.0, 1.0, 1.0]),
    costs=Costs(strong=np.array([5.0, 5.0, 9.0, 9.0]), weak=np.ones(4), basis="made up"),
)
SCORES = np.array([4.0, 3.0, 2.0, 1.0])


def test_curves_are_told_at_every_percent_of_strong_calls() -> None:
    found = of_ranking(BENCHMARK, SCORES)(np.ones((1, 4)))
    assert found["recovered"][0, [0, 25, 50, 100]].tolist() == [0, 0.5, 1, 1]
    assert found["quality"][0, [0, 25, 50, 100]].tolist() == [0.5, 0.75, 1, 1]
    assert found["cost"][0, [0, 25, 50, 100]].tolist() == [1, 2, 3, 7]
    assert found["recovered"].shape == (1, len(GRID))


def test_aiq_is_the_area_of_quality_over_cost_by_its_range() -> None:
    # From .5 to 1 while the cost goes from 1 to 3, then 1 up to 7: (2 x .75 + 4 x 1) / 6.
    assert of_ranking(BENCHMARK, SCORES)(np.ones((1, 4)))["AIQ"].tolist() == [pytest.approx(5.5 / 6)]


def test_resamples_are_measured_as_if_each_were_alone() -> None:
    generator = np.random.default_rng(3)
    scores, weak = generator.integers(0, 20, size=50).astype(np.float64), generator.random(50) / 2
    counts = generator.multinomial(50, np.full(50, 1 / 50), size=5).astype(np.float64)
    benchmark = Benchmark(name="any", prompts=("x",) * 50, strong=np.ones(50), weak=weak)
    found = of_ranking(benchmark, scores)(counts)
    for row, times in enumerate(counts.astype(int)):
        alone = Ranking(np.repeat(scores, times), np.repeat(1 - weak, times)).curve()
        assert found["APGR"][row] == pytest.approx(alone.apgr())
        assert found["CPT(50)"][row] == pytest.approx(alone.cpt(50))
        assert found["CPT(80)"][row] == pytest.approx(alone.cpt(80))
