from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from steersman.classifier.evaluation.benchmark import Benchmark, Costs
from steersman.classifier.evaluation.prices import Prices, with_costs

BENCHMARK = Benchmark(name="any", prompts=("x" * 400,), strong=np.ones(1), weak=np.zeros(1))


def test_a_cost_is_the_price_of_the_prompts_and_the_answers_tokens() -> None:
    costs = with_costs(BENCHMARK, Prices(strong=20, weak=2, answer_tokens=300)).costs
    assert costs is not None
    assert costs.strong.tolist() == [pytest.approx(400 * 20 / 1e6)]
    assert costs.weak.tolist() == [pytest.approx(400 * 2 / 1e6)]
    assert costs.basis.startswith("estimated")


def test_costs_that_the_data_knows_are_kept() -> None:
    known = Costs(strong=np.ones(1), weak=np.ones(1), basis="known")
    assert with_costs(dataclasses.replace(BENCHMARK, costs=known), Prices(strong=20, weak=2)).costs is known
