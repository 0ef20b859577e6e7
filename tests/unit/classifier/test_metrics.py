from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.classifier.metrics import Ranking

scores = st.lists(st.integers(0, 5), min_size=1, max_size=30)


def ranking(scores: list[float], gains: list[float]) -> Ranking:
    return Ranking(np.array(scores, dtype=np.float64), np.array(gains, dtype=np.float64))


def test_apgr_is_the_area_of_the_curve() -> None:
    # One of two gains first: (0, 0), (1/4, 1/2), (1/2, 1), (3/4, 1), (1, 1).
    curve = ranking([4, 3, 2, 1], [1, 1, 0, 0]).curve()
    assert curve.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.recovered.tolist() == [0, 0.5, 1, 1, 1]
    assert curve.apgr() == pytest.approx(0.75)


def test_cpt_is_interpolated_between_two_queries() -> None:
    curve = ranking([4, 3, 2, 1], [1, 1, 0, 0]).curve()
    assert curve.cpt(50) == pytest.approx(0.25)
    assert curve.cpt(80) == pytest.approx(0.4)


def test_cpt_is_the_first_crossing_where_the_curve_crosses_again() -> None:
    # Up to 1 at a fifth of the calls, down to 0 at two fifths, up again.
    curve = ranking([5, 4, 3, 2, 1], [1, -1, 1, 0, 0]).curve()
    assert curve.cpt(50) == pytest.approx(0.1)


def test_recovering_nothing_needs_no_call() -> None:
    assert ranking([2, 1], [1, 1]).curve().cpt(0) == 0


def test_tied_queries_are_taken_in_random_order() -> None:
    tied = ranking([1, 1, 1, 1], [1, 0, 0, 1]).curve()
    assert tied.apgr() == pytest.approx(0.5)
    assert tied.cpt(80) == pytest.approx(0.8)


def test_ties_are_random_only_among_themselves() -> None:
    curve = ranking([2, 2, 1, 1], [1, 0, 1, 0]).curve()
    assert curve.share.tolist() == [0, 0.5, 1]
    assert curve.recovered.tolist() == [0, 0.5, 1]


def test_a_router_can_recover_more_than_everything() -> None:
    assert ranking([3, 2, 1], [1, 1, -1]).curve().apgr() > 1


def test_a_query_counted_twice_is_two_queries() -> None:
    counted = ranking([3, 2, 1], [1, 0, 1]).curves(np.array([[2.0, 1.0, 0.0]]))
    written_out = ranking([3, 3, 2], [1, 1, 0]).curve()
    assert counted.apgr().tolist() == [pytest.approx(written_out.apgr())]


def test_there_is_no_measure_without_a_gap() -> None:
    curve = ranking([2, 1], [0, 0]).curve()
    assert np.isnan(curve.apgr())
    assert np.isnan(curve.cpt(50))


@given(scores)
def test_random_and_reversed_orders_are_what_symmetry_says(given_scores: list[int]) -> None:
    gains = [1.0 + value for value in given_scores]
    forwards = ranking(list(map(float, given_scores)), gains).curve().apgr()
    backwards = ranking([-float(value) for value in given_scores], gains).curve().apgr()
    assert forwards + backwards == pytest.approx(1)
    assert forwards >= 0.5 - 1e-9


@given(scores)
def test_any_rising_change_of_the_scores_changes_nothing(given_scores: list[int]) -> None:
    gains = [float(index % 3 + 1) for index in range(len(given_scores))]
    plain = ranking(list(map(float, given_scores)), gains).curve()
    bent = ranking([float(value) ** 3 for value in given_scores], gains).curve()
    assert plain.apgr() == pytest.approx(bent.apgr())
    assert plain.cpt(80) == pytest.approx(bent.cpt(80))


@given(scores, st.lists(st.integers(-2, 3), min_size=30, max_size=30), st.integers(1, 100))
def test_cpt_is_the_least_share_that_recovers_so_much(
    given_scores: list[int], gains: list[int], percent: int
) -> None:
    gains = gains[: len(given_scores)]
    curve = ranking(list(map(float, given_scores)), list(map(float, gains))).curve()
    share = curve.cpt(percent)
    if sum(gains) <= 0:
        assert np.isnan(share)
        return
    assert np.interp(share, curve.share, curve.recovered) == pytest.approx(percent / 100)
    assert (curve.recovered[curve.share < share - 1e-9] < percent / 100).all()
