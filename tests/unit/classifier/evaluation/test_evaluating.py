from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.benchmark import Benchmark, Costs
from steersman.classifier.evaluation.evaluating import Evaluation, Settings, evaluate
from steersman.classifier.evaluation.operating import Share, Threshold

BENCHMARK = Benchmark(
    name="tides",
    prompts=tuple("x" * length for length in range(1, 61)),
    strong=np.ones(60),
    weak=np.array([0.0] * 30 + [1.0] * 30),
    columns={"half": ("first",) * 30 + ("second",) * 30},
)


def evaluated(benchmark: Benchmark = BENCHMARK, **settings: object) -> Evaluation:
    return evaluate(
        benchmark,
        {"shorter first": lambda prompts: np.array([1 / len(prompt) for prompt in prompts])},
        dataclasses.replace(Settings(resamples=200), **settings),  # type: ignore[arg-type]  # of the test's choice
    )


def test_random_oracle_and_length_always_stand_beside_the_method() -> None:
    assert list(evaluated().measures) == ["random", "oracle", "prompt length", "shorter first"]


def test_each_row_is_what_it_says() -> None:
    apgr = {name: row["APGR"].value for name, row in evaluated().measures.items()}
    expected = {"random": 0.5, "oracle": 0.75, "prompt length": 0.25, "shorter first": 0.75}
    assert apgr == pytest.approx(expected)


def test_an_interval_holds_its_value() -> None:
    for row in evaluated().measures.values():
        for estimate in row.values():
            assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9


def test_the_same_seed_gives_the_same_digits() -> None:
    assert evaluated(seed=3).measures == evaluated(seed=3).measures
    assert evaluated(seed=3).outcomes == evaluated(seed=3).outcomes
    assert evaluated(seed=3).measures != evaluated(seed=4).measures


def test_what_a_method_knows_beyond_length_is_compared_in_the_same_resamples() -> None:
    measures = evaluated().measures
    assert measures["shorter first"]["APGR over length"].value == pytest.approx(0.5)
    own = measures["prompt length"]["APGR over length"]
    assert (own.value, own.low, own.high) == (0, 0, 0)


def test_aiq_is_measured_only_where_costs_are_known() -> None:
    costs = Costs(strong=np.full(60, 3.0), weak=np.ones(60), basis="made up")
    dear = evaluated(dataclasses.replace(BENCHMARK, costs=costs))
    assert "AIQ" not in evaluated().measures["random"]
    assert dear.measures["random"]["AIQ"].value == pytest.approx(0.75)
    assert dear.measures["oracle"]["AIQ"].value == pytest.approx(0.875)


def test_groups_are_told_beside_all_queries() -> None:
    found = {
        outcome.group: outcome
        for outcome in evaluated(columns=("half",), points=(Share(0.5),)).outcomes
        if outcome.method == "shorter first"
    }
    assert {name: outcome.queries for name, outcome in found.items()} == {
        "all": 60,
        "first": 30,
        "second": 30,
    }
    assert found["first"].estimates["strong share"].value == 1
    assert found["second"].estimates["strong share"].value == 0
    assert found["all"].estimates["recovered"].value == 1
    assert np.isnan(found["second"].estimates["recovered"].value)


def test_at_a_threshold_the_baselines_spend_what_the_method_spends() -> None:
    outcomes = evaluated(points=(Threshold(0.1),)).outcomes
    shares = {outcome.method: outcome.estimates["strong share"].value for outcome in outcomes}
    assert shares == pytest.approx(dict.fromkeys(shares, 10 / 60))


def test_a_column_that_another_benchmark_has_is_passed_over() -> None:
    outcomes = evaluated(columns=("subject",)).outcomes
    assert {outcome.column for outcome in outcomes} == {"all"}


def test_a_column_that_names_each_query_makes_no_groups() -> None:
    numbered = dataclasses.replace(
        BENCHMARK, prompts=("x",) * 300, columns={"id": tuple(f"row {index}" for index in range(300))}
    )
    with pytest.raises(DataError, match="'id' has 300 values"):
        evaluated(numbered, columns=("id",))


def test_few_queries_are_named() -> None:
    few = dataclasses.replace(BENCHMARK, prompts=("a", "b"), strong=np.ones(2), weak=np.zeros(2), columns={})
    assert "n = 2 is few" in evaluated(few).notes[0]
    assert not evaluated().notes


def test_a_gain_that_is_the_same_everywhere_is_named() -> None:
    assert "no choice of queries" in evaluated(dataclasses.replace(BENCHMARK, weak=np.zeros(60))).notes[0]


@pytest.mark.parametrize(
    ("weak", "note"),
    [
        pytest.param(np.ones(60), "equally good everywhere", id="one class"),
        pytest.param(np.full(60, 2.0), "no better than", id="weak is better"),
    ],
)
def test_without_a_gap_the_measures_are_undefined_and_the_reason_is_named(
    weak: np.ndarray, note: str
) -> None:
    found = evaluated(dataclasses.replace(BENCHMARK, weak=weak))
    assert note in found.notes[0]
    for estimate in found.measures["shorter first"].values():
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
