from __future__ import annotations

import numpy as np

from steersman.calibration.drift import halves


def test_traffic_that_stays_the_same_is_not_told_apart() -> None:
    generator = np.random.default_rng(0)
    assert not any(halves(generator.uniform(size=1000), 0.7).apart for _ in range(20))


def test_traffic_that_changes_is() -> None:
    generator = np.random.default_rng(0)
    found = halves(
        np.concatenate((generator.uniform(size=1000), generator.uniform(0.4, 1.0, size=1000))), 0.7
    )
    assert found.apart
    assert found.earlier < found.later


def test_a_few_rows_say_nothing() -> None:
    assert not halves(np.array([0.0] * 40 + [1.0] * 40), 0.5).apart
