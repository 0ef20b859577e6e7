from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from steersman.calibration import recovery
from steersman.calibration.bootstrap import Resampling
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.bootstrap import Floats

FEW = Resampling(resamples=20)
ROWS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=50)


def answered(generator: np.random.Generator, size: int) -> tuple[Floats, Floats]:
    """Scores, and gains that they tell something of."""
    scores = generator.uniform(size=size)
    return scores, (generator.uniform(size=size) < 0.1 + 0.5 * scores).astype(np.float64)


def recovered(scores: Floats, gains: Floats, boundary: float) -> float:
    return float(gains[scores >= boundary].sum() / gains.sum())


@given(ROWS, st.floats(0.01, 1.0))
def test_the_boundary_recovers_what_is_wanted_and_a_higher_one_does_not(
    rows: list[tuple[float, float]], wanted: float
) -> None:
    scores, gains = (np.array(column) for column in zip(*rows, strict=True))
    assume(gains.sum() > 0)
    found = recovery.calibrate(scores, gains, wanted, FEW)
    assert recovered(scores, gains, found.boundary) == pytest.approx(found.recovered.value)
    assert found.recovered.value >= wanted - 1e-9
    assert found.strong_share.value == pytest.approx((scores >= found.boundary).mean())
    for other in scores[scores > found.boundary + 1e-9]:
        if not np.isclose((scores >= other).mean(), found.strong_share.value):
            assert recovered(scores, gains, other) < wanted + 1e-9


@pytest.mark.parametrize("gains", [[0.0, 0.0], [-1.0, 0.0], [1.0, -1.0]])
def test_without_a_gap_there_is_nothing_to_recover(gains: list[float]) -> None:
    with pytest.raises(DataError, match="no gap"):
        recovery.calibrate(np.array([0.2, 0.8]), np.array(gains), 0.5, FEW)


@pytest.mark.slow
def test_further_traffic_is_within_the_interval_nineteen_times_in_twenty() -> None:
    generator = np.random.default_rng(7)
    trials, inside = 200, 0
    scores, gains = answered(generator, 400_000)
    for _ in range(trials):
        found = recovery.calibrate(*answered(generator, 500), 0.8, Resampling(150))
        inside += found.recovered.low <= recovered(scores, gains, found.boundary) <= found.recovered.high
    assert 0.90 <= inside / trials <= 0.985


def test_a_resample_without_a_gap_does_not_count() -> None:
    scores, gains = np.array([0.1, 0.9]), np.array([0.0, 1.0])
    found = recovery.calibrate(scores, gains, 1.0, Resampling(50))
    assert found.recovered.low == found.recovered.high == 1.0
