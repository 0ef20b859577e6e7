from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.calibration.bootstrap import Resampling
from steersman.calibration.shares import Calibration, calibrate, rows_to_halve
from steersman.classifier.evaluation.bootstrap import Floats

FEW = Resampling(resamples=20)
SCORES = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=60
).map(np.array)
SHARES = st.floats(0, 1)


def calibrated(scores: Floats, *wanted: float, resampling: Resampling = FEW, **fields: Any) -> Calibration:
    weights = fields.get("weights", np.ones_like(scores))
    return calibrate(scores, weights, (1 - sum(wanted), *wanted), resampling)


def skewed(generator: np.random.Generator, size: int) -> Floats:
    """Scores as real traffic has them: not uniform, since no traffic is the reference."""
    return generator.beta(0.6, 1.7, size)


@given(SCORES, SHARES)
def test_no_other_boundary_comes_nearer_to_the_share(scores: Floats, share: float) -> None:
    (boundary,) = calibrated(scores, share).boundaries
    missed = abs((scores >= boundary).mean() - share)
    assert all(missed <= abs((scores >= other).mean() - share) + 1e-9 for other in [*scores, 0.0])


@given(SCORES, SHARES)
def test_what_is_found_is_what_the_boundary_does_to_the_sample(scores: Floats, share: float) -> None:
    found = calibrated(scores, share)
    assert found.shares[1].found == pytest.approx((scores >= found.boundaries[0]).mean())
    assert sum(each.found for each in found.shares) == pytest.approx(1.0)


@given(SCORES, SHARES, SHARES)
def test_boundaries_of_several_tiers_ascend(scores: Floats, one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = calibrate(scores, np.ones_like(scores), (low, high - low, 1 - high), FEW)
    assert list(found.boundaries) == sorted(found.boundaries)
    assert all(0.0 <= boundary <= 1.0 for boundary in found.boundaries)


@given(SCORES, SHARES)
def test_an_interval_lies_in_the_possible(scores: Floats, share: float) -> None:
    for each in calibrated(scores, share).shares:
        for interval in (each.long_run, each.next_queries):
            assert 0.0 <= interval.low <= interval.high <= 1.0


@given(SCORES, SHARES)
def test_a_weight_counts_as_so_many_rows(scores: Floats, share: float) -> None:
    weighted = calibrated(scores, share, weights=np.full_like(scores, 3.0))
    assert weighted.boundaries == calibrated(np.repeat(scores, 3), share).boundaries


def test_rows_of_a_thinner_sample_count_more() -> None:
    scores, weights = np.array([0.2, 0.4, 0.6, 0.8]), np.array([1.0, 1.0, 1.0, 3.0])
    assert 0.6 < calibrate(scores, weights, (0.5, 0.5), FEW).boundaries[0] <= 0.8


def test_all_and_nothing_hold_for_scores_that_were_not_seen() -> None:
    scores = np.array([0.3, 0.6])
    assert calibrated(scores, 1.0).boundaries == (0.0,)
    assert calibrated(scores, 0.0).boundaries == (1.0,)


def test_a_tie_moves_as_one_and_its_size_is_told() -> None:
    scores = np.concatenate((np.linspace(0.0, 0.4, 50), np.full(40, 0.5), np.linspace(0.6, 0.9, 10)))
    found = calibrated(scores, 0.3)
    assert found.shares[1].found == pytest.approx(0.1)
    assert found.ties[0] == pytest.approx(0.4)


def test_one_score_for_all_leaves_all_or_nothing() -> None:
    found = calibrated(np.full(10, 0.5), 0.3)
    assert found.shares[1].found == 0.0
    assert found.ties == (1.0,)


def test_half_the_interval_takes_four_times_the_rows() -> None:
    generator = np.random.default_rng(0)
    few, many = (
        calibrated(skewed(generator, rows), 0.3, resampling=Resampling(500)).shares[1].long_run.half_width
        for rows in (500, 500 + rows_to_halve(500))
    )
    assert many == pytest.approx(few / 2, rel=0.15)


def test_the_same_seed_gives_the_same_digits() -> None:
    scores = skewed(np.random.default_rng(0), 200)
    assert calibrated(scores, 0.3) == calibrated(scores, 0.3)
    assert calibrated(scores, 0.3) != calibrated(scores, 0.3, resampling=Resampling(20, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_further_traffic_is_within_the_interval_nineteen_times_in_twenty(share: float) -> None:
    generator = np.random.default_rng(20)
    trials, rows, resampling = 200, 400, Resampling(150)
    endless = skewed(generator, 400_000)
    inside = {"long_run": 0, "next_queries": 0}
    misses = []
    for _ in range(trials):
        found = calibrated(skewed(generator, rows), share, resampling=resampling)
        for name, traffic in (("long_run", endless), ("next_queries", skewed(generator, rows))):
            came = (traffic >= found.boundaries[0]).mean()
            interval = getattr(found.shares[1], name)
            inside[name] += interval.low <= came <= interval.high
        misses.append(abs(came - share))
    for name, number in inside.items():
        assert 0.91 <= number / trials <= 0.985, name
    assert np.median(misses) < 0.03


@pytest.mark.parametrize("wanted", [(0.0, 0.7, 0.2, 0.1), (0.0, 0.1, 0.2, 0.7)])
def test_a_tier_that_is_to_get_nothing_gets_nothing_whatever_the_others_add_up_to(
    wanted: tuple[float, ...],
) -> None:
    scores = np.random.default_rng(0).uniform(0.2, 0.8, 1000)
    assert calibrate(scores, np.ones(1000), wanted, FEW).boundaries[0] == 0.0
