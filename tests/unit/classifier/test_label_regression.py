from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from steersman.classifier.label_regression import Fitted, fit, outputs
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.reference import Reference
from steersman.classifier.static_head import StaticHead

Floats = npt.NDArray[np.float64]

DIMENSIONS, FEATURES, ROWS = 3, 2, 400


def inputs(seed: int = 0, rows: int = ROWS) -> Floats:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(rows, DIMENSIONS))
    features = np.column_stack((generator.normal(size=rows), np.full(rows, 7.0)))
    return np.hstack((vectors / np.linalg.norm(vectors, axis=1, keepdims=True), features))


def old_head() -> StaticHead:
    ones = np.ones(2, np.float32)
    reference = Reference(
        win_slope=1.0,
        win_intercept=0.0,
        centroids=np.eye(DIMENSIONS, dtype=np.float32),
        score_percentiles=Percentiles(np.array([0, 1], np.float32), ones),
        novelty_percentiles=Percentiles(np.array([0, 1], np.float32), ones),
    )
    return StaticHead(np.array([1, 0, 0, 0, 0], np.float32), bias=0.5, reference=reference)


def bent(rows: Floats) -> Floats:
    """Gains that no line through the inputs tells."""
    return np.asarray(np.sign(rows[:, 1]) * np.sign(rows[:, 2]))


def as_head(fitted: Fitted) -> StaticHead:
    weights = fitted.linear.weights.astype(np.float32)
    return replace(old_head(), weights=weights, bias=fitted.linear.bias, bumps=fitted.bumps)


def test_gains_that_no_line_tells_are_told_by_bumps() -> None:
    new = inputs(seed=1)
    told = fit(inputs(), bent(inputs()), old_head())(new)
    assert np.corrcoef(told, bent(new))[0, 1] > 0.7


def test_gains_that_are_noise_leave_no_bumps() -> None:
    noise = np.random.default_rng(5).normal(size=ROWS)
    assert fit(inputs(), noise, old_head()).bumps is None


def test_what_is_served_says_what_was_fitted() -> None:
    fitted = fit(inputs(), bent(inputs()), old_head())
    new = inputs(seed=2)
    assert outputs(as_head(fitted), new) == pytest.approx(fitted(new), abs=1e-4)


def test_a_head_that_was_adapted_before_keeps_what_it_learnt() -> None:
    first = as_head(fit(inputs(), bent(inputs()), old_head()))
    few = inputs(seed=3, rows=20)
    again = fit(few, bent(few), first)
    assert again.bumps is not None
    assert len(again.bumps.points) >= ROWS
    new = inputs(seed=4)
    assert np.corrcoef(again(new), bent(new))[0, 1] > 0.6


def test_a_feature_that_never_varies_does_not_make_texts_unlike() -> None:
    fitted = fit(inputs(), bent(inputs()), old_head())
    new = inputs(seed=1)
    moved = new.copy()
    moved[:, -1] = 8.0
    assert fitted(moved) == pytest.approx(fitted(new))


def test_labels_left_out_are_told_less_well_than_those_seen() -> None:
    gains = bent(inputs()) + np.random.default_rng(6).normal(size=ROWS)
    fitted = fit(inputs(), gains, old_head())
    seen, left_out = (np.corrcoef(each, gains)[0, 1] for each in (fitted(inputs()), fitted.left_out))
    assert 0.2 < left_out < seen
