from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.evaluation.bootstrap import Floats, Statistic, bootstrap, together


def mean_of(values: Floats) -> Statistic:
    return lambda counts: {"mean": counts @ values / counts.sum(axis=1)}


def test_the_interval_of_a_mean_is_two_standard_errors_wide() -> None:
    values = np.random.default_rng(1).normal(size=400)
    mean = bootstrap(mean_of(values), queries=400, resamples=2000, seed=0)["mean"].at()
    assert mean.value == pytest.approx(values.mean())
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_statistics_that_are_taken_together_see_the_same_resamples() -> None:
    values = np.arange(30.0)
    both = together({"a": mean_of(values), "b": mean_of(2 * values)})
    found = bootstrap(both, queries=30, resamples=50, seed=0)
    assert found["b", "mean"].low == pytest.approx(2 * found["a", "mean"].low)


def test_a_resample_is_as_large_as_the_whole() -> None:
    sizes: list[Floats] = []

    def statistic(counts: Floats) -> dict[str, Floats]:
        sizes.append(counts.sum(axis=1))
        return {"queries": counts.sum(axis=1)}

    bootstrap(statistic, queries=70_000, resamples=5, seed=0)
    assert np.concatenate(sizes).tolist() == [70_000] * 6


def test_resamples_that_say_nothing_are_left_out_and_none_makes_no_interval() -> None:
    def statistic(counts: Floats) -> dict[str, Floats]:
        return {
            "values": np.column_stack((np.where(counts[:, 0] > 0, 1.0, np.nan), np.full(len(counts), np.nan)))
        }

    values = bootstrap(statistic, queries=5, resamples=50, seed=0)["values"]
    assert (values.at(0).low, values.at(0).high) == (1, 1)
    assert np.isnan([values.at(1).value, values.at(1).low, values.at(1).high]).all()
