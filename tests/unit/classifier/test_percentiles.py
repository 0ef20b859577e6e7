from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.classifier.percentiles import Percentiles

values = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50)


def percentiles(raw: list[float], weights: list[float] | None = None) -> Percentiles:
    return Percentiles.of(np.array(raw, dtype=np.float64), weights=np.array(weights or [1.0] * len(raw)))


def told(of: Percentiles, *raw: float) -> list[float]:
    return [float(value) for value in of(np.array(raw, dtype=np.float32))]


@given(values, values)
def test_a_higher_raw_value_never_has_a_lower_percentile(reference: list[float], raw: list[float]) -> None:
    answer = told(percentiles(reference), *sorted(raw))
    assert answer == sorted(answer)
    assert all(0 <= value <= 1 for value in answer)


def test_a_percentile_is_the_share_of_the_traffic_below() -> None:
    spread = percentiles(list(np.random.default_rng(0).normal(size=5000)))
    assert np.allclose(told(spread, -1.2816, 0, 1.2816), [0.1, 0.5, 0.9], atol=0.02)


def test_traffic_counts_by_its_weight() -> None:
    assert told(percentiles([0.0, 1.0], [3.0, 1.0]), 0.5)[0] > 0.7


def test_queries_easier_or_harder_than_all_traffic_keep_their_order() -> None:
    spread = percentiles(list(np.random.default_rng(0).normal(size=500)))
    answer = told(spread, -5.5, -5.0, -4.5, 4.5, 5.0)
    assert answer == sorted(set(answer))


def test_traffic_that_is_all_alike_parts_what_is_below_from_what_is_above() -> None:
    below, above = told(percentiles([2.0] * 5), 1.0, 3.0)
    assert below == pytest.approx(0, abs=1e-6)
    assert above == pytest.approx(1, abs=1e-6)
