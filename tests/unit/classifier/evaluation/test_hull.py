from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.classifier.evaluation.hull import aiq, hull

points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=20)


def corners(*points: tuple[float, float]) -> list[tuple[float, float]]:
    costs, qualities = hull(*np.array(points, dtype=np.float64).T)
    return list(zip(costs.tolist(), qualities.tolist(), strict=True))


def test_a_point_under_the_line_between_two_others_is_no_corner() -> None:
    assert corners((1, 0), (2, 0.2), (3, 1)) == [(1, 0), (3, 1)]


def test_the_hull_never_falls() -> None:
    assert corners((1, 0.5), (2, 1), (3, 0.8)) == [(1, 0.5), (2, 1)]


def test_of_two_points_of_one_cost_the_better_counts() -> None:
    assert corners((1, 0.2), (1, 0.5), (2, 1)) == [(1, 0.5), (2, 1)]


def test_aiq_is_the_mean_height_between_the_costs() -> None:
    # From .5 to 1 over half of the range, then 1: .75 / 2 + 1 / 2.
    costs, qualities = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 0.8])
    assert aiq(costs, qualities, low=1, high=3) == pytest.approx(0.875)


def test_a_coin_between_two_models_gets_the_mean_of_both() -> None:
    assert aiq(np.array([1.0, 5.0]), np.array([0.4, 0.8]), low=1, high=5) == pytest.approx(0.6)


def test_there_is_no_aiq_where_strong_costs_no_more() -> None:
    assert np.isnan(aiq(np.array([2.0, 2.0]), np.array([0.0, 1.0]), low=2, high=2))


@given(points)
def test_no_point_is_above_the_hull_and_its_corners_are_points(given_points: list[tuple[int, int]]) -> None:
    array = np.array(given_points, dtype=np.float64)
    costs, qualities = hull(array[:, 0], array[:, 1])
    assert (np.diff(costs) > 0).all()
    assert (np.diff(qualities) > 0).all()
    assert {*zip(costs, qualities, strict=True)} <= {*map(tuple, array)}
    assert (array[:, 1] <= np.interp(array[:, 0], costs, qualities) + 1e-9).all()


@given(points, st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_one_more_setting_never_lowers_aiq(
    given_points: list[tuple[int, int]], another: tuple[int, int]
) -> None:
    few, more = (np.array(each, dtype=np.float64) for each in (given_points, [*given_points, another]))
    low, high = few[:, 0].min(), 21.0
    before = aiq(few[:, 0], few[:, 1], low=low, high=high)
    assert aiq(more[:, 0], more[:, 1], low=low, high=high) >= before - 1e-9
