from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.calibration.scores import ScoreOrder

SCORES = st.lists(
    st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=40
)


@given(SCORES)
def test_a_boundary_sends_up_just_what_its_place_says(scores: list[float]) -> None:
    values = np.array(scores)
    order = ScoreOrder(values)
    for place, above in enumerate(order.above(np.ones_like(values))):
        boundary = order.boundary(place)
        assert 0.0 <= boundary <= 1.0
        assert (values >= boundary).sum() == above


@given(SCORES)
def test_places_ascend(scores: list[float]) -> None:
    order = ScoreOrder(np.array(scores))
    places = range(len(order.above(np.ones(len(scores)))))
    boundaries = [order.boundary(place) for place in places]
    assert boundaries == sorted(boundaries)


@pytest.mark.parametrize(
    ("scores", "place", "boundary"),
    [
        pytest.param([0.2, 0.4], 1, 0.3, id="between two"),
        pytest.param([0.71234, 0.71239], 1, 0.71236, id="close together"),
        pytest.param([0.5, 0.5000001], 1, 0.50000005, id="as close as single precision"),
        pytest.param([0.2, 0.4], 2, 0.7, id="above all"),
    ],
)
def test_a_boundary_has_as_few_decimals_as_it_can(scores: list[float], place: int, boundary: float) -> None:
    assert ScoreOrder(np.array(scores)).boundary(place) == boundary


def test_no_boundary_is_above_a_score_of_one() -> None:
    order = ScoreOrder(np.array([0.5, 1.0]))
    assert list(order.above(np.ones(2))) == [2.0, 1.0]
