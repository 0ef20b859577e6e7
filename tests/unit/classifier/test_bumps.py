from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.bumps import Bumps, likeness

SCALE = np.array([1.0, 10.0, 0.0], dtype=np.float32)
PLACES = np.array([[0.0, 0.0, 5.0], [1.0, 0.2, -5.0]], dtype=np.float32)


def bumps() -> Bumps:
    return Bumps(points=PLACES * SCALE, weights=np.array([2.0, -1.0], dtype=np.float32), scale=SCALE)


def test_at_a_point_alone_its_whole_weight_is_added() -> None:
    far = Bumps(
        points=np.array([[0.0], [100.0]], np.float32),
        weights=np.array([2.0, -1.0], np.float32),
        scale=np.ones(1, np.float32),
    )
    assert far.raw(np.array([[0.0], [100.0], [50.0]], np.float32)) == pytest.approx([2.0, -1.0, 0.0])


def test_between_points_each_counts_by_its_distance_in_scaled_inputs() -> None:
    (raw,) = bumps().raw(np.array([[0.5, 0.1, 99.0]], dtype=np.float32))
    squared = 0.5**2 + 1.0**2
    assert raw == pytest.approx((2.0 - 1.0) * np.exp(-squared / 2))


def test_nothing_is_more_alike_than_the_same() -> None:
    places = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32) * 30
    alike = likeness(places, places)
    assert np.diag(alike) == pytest.approx(1.0, abs=1e-2)
    assert alike.max() <= 1.0


def test_they_come_back_from_their_tensors() -> None:
    back = Bumps.from_tensors(bumps().tensors())
    assert back is not None
    assert np.array_equal(back.raw(PLACES), bumps().raw(PLACES))


def test_a_head_without_them_has_no_tensors_of_them() -> None:
    assert Bumps.from_tensors({"weights": SCALE}) is None
