from __future__ import annotations

import math

import pytest

from steersman.classifier.evaluation.bootstrap import Estimate
from steersman.cli.evaluation.grids import cell


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        pytest.param(Estimate(0.5, 0.25, 0.75), "0.500 (0.250 to 0.750)", id="with its interval"),
        pytest.param(Estimate(0.5, 0.4999999, 0.5), "0.500", id="no wider than a digit"),
        pytest.param(Estimate(-0.0001, -0.25, 0.0), "0.000 (-0.250 to 0.000)", id="no negative zero"),
        pytest.param(Estimate(0.5, math.nan, math.nan), "0.500 (-)", id="without an interval"),
        pytest.param(Estimate(math.nan, 0.1, 0.2), "-", id="not defined"),
    ],
)
def test_a_figure_is_told_as_far_as_it_is_known(estimate: Estimate, expected: str) -> None:
    assert cell(estimate) == expected
