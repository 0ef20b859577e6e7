from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.fitting import logistic, ridge, spherical_kmeans


def test_ridge_without_penalty_finds_the_line() -> None:
    inputs = np.random.default_rng(0).normal(size=(50, 3))
    targets = inputs @ np.array([1.0, -2.0, 0.5]) + 3
    line = ridge(inputs, targets, sample_weights=np.ones(50), penalty=np.zeros(3))
    assert line.weights == pytest.approx([1.0, -2.0, 0.5])
    assert line.bias == pytest.approx(3)


def test_a_penalty_shrinks_its_own_column() -> None:
    inputs = np.random.default_rng(0).normal(size=(500, 2))
    line = ridge(inputs, inputs.sum(axis=1), sample_weights=np.ones(500), penalty=np.array([1.0, 0.0]))
    assert line.weights == pytest.approx([0.5, 1.0], abs=0.1)


def test_a_row_of_double_weight_is_two_rows() -> None:
    inputs, targets = np.array([[0.0], [1.0], [3.0]]), np.array([0.0, 2.0, 1.0])
    weighted = ridge(inputs, targets, sample_weights=np.array([1.0, 2.0, 1.0]), penalty=np.array([0.1]))
    index = [0, 1, 1, 2]
    doubled = ridge(inputs[index], targets[index], sample_weights=np.ones(4), penalty=np.array([0.1]))
    assert weighted(inputs) == pytest.approx(doubled(inputs))


def test_logistic_finds_the_log_odds_of_soft_labels() -> None:
    values = np.linspace(-2, 2, 40)
    labels = 1 / (1 + np.exp(-(1.5 * values - 0.5)))
    design = np.column_stack((values, np.ones(40)))
    assert logistic(design, labels, sample_weights=np.ones(40)) == pytest.approx([1.5, -0.5], abs=1e-4)


def test_centres_stand_in_the_middle_of_their_clusters() -> None:
    generator = np.random.default_rng(0)
    corners = np.eye(3)[generator.integers(0, 3, size=90)]
    vectors = corners + 0.05 * generator.normal(size=(90, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = spherical_kmeans(vectors, centres=9, sample_weights=np.ones(90), generator=generator)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(9))
    assert (vectors @ found.T).max(axis=1).min() > 0.97
