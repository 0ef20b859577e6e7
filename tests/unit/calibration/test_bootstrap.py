from __future__ import annotations

import math

import numpy as np

from steersman.calibration.bootstrap import Resampling, ahead, around
from steersman.classifier.evaluation.bootstrap import Estimate


def test_a_resample_has_as_many_rows_as_the_sample() -> None:
    draws = list(Resampling(resamples=10).draws(7))
    assert len(draws) == 10
    assert all(each.sum() == 7 and each.shape == (7,) for each in draws)


def test_the_same_seed_draws_the_same_rows() -> None:
    one, other = ([each.tolist() for each in Resampling(5, seed).draws(100)] for seed in (3, 3))
    assert one == other
    assert one != [each.tolist() for each in Resampling(5, 4).draws(100)]


def test_the_middle_of_the_resamples_is_the_interval() -> None:
    assert around(0.5, np.arange(1, 1000) / 1000) == Estimate(0.5, 0.025, 0.975)


def test_what_no_resample_knows_has_no_interval() -> None:
    interval = around(0.5, np.array([math.nan]))
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_a_choice_is_judged_by_what_it_missed() -> None:
    assert ahead(0.9, np.arange(-499, 500) / 1000, high=1.0) == Estimate(0.9, 0.9 - 0.475, 1.0)
