from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from steersman.classifier.neighbours import Rows, log_odds_of_alike, mean_of_nearest

Floats = npt.NDArray[np.float32]


def unit(rows: int, *, seed: int) -> npt.NDArray[np.float64]:
    vectors = np.random.default_rng(seed).normal(size=(rows, 8))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def labels(rows: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(5).integers(0, 3, size=rows) / 2


def likelihood(difference: float, weights: npt.NDArray[np.float64], won: npt.NDArray[np.float64]) -> float:
    """Weighted Bradley-Terry log likelihood of strong against weak."""
    beats = 1 / (1 + np.exp(-difference))
    return float(weights @ (won * np.log(beats) + (1 - won) * np.log(1 - beats)))


def test_the_closed_form_is_the_maximum_of_the_weighted_likelihood() -> None:
    cosines = unit(1, seed=1) @ unit(60, seed=2).T
    won = labels(60)
    found = float(log_odds_of_alike(cosines.astype(np.float32), won.astype(np.float32), 10.0)[0])
    weights = 10.0 ** (1 + cosines[0] / cosines.max())
    best = likelihood(found, weights, won)
    assert all(best >= likelihood(found + step, weights, won) for step in (-1e-2, -1e-3, 1e-3, 1e-2))


def test_without_weighting_every_query_gets_the_overall_share() -> None:
    won = labels(60)
    cosines = (unit(3, seed=1) @ unit(60, seed=2).T).astype(np.float32)
    share = 1 / (1 + np.exp(-log_odds_of_alike(cosines, won.astype(np.float32), 1.0)))
    assert share == pytest.approx(np.full(3, won.mean()), abs=1e-5)


def test_a_great_gamma_hears_the_nearest_row_alone_and_stays_finite() -> None:
    cosines = np.array([[0.9, 0.5, 0.1]], dtype=np.float32)
    assert log_odds_of_alike(cosines, np.array([1.0, 0.0, 0.0], dtype=np.float32), 1e30)[0] > 6


@pytest.mark.parametrize("cosine", [0.0, -0.4, 1e-12])
def test_a_query_that_is_like_no_row_has_finite_odds(cosine: float) -> None:
    cosines = np.array([[cosine, cosine, -0.9]], dtype=np.float32)
    assert np.isfinite(log_odds_of_alike(cosines, np.array([1.0, 0.0, 0.0], dtype=np.float32), 10.0)).all()


def test_the_nearest_are_averaged() -> None:
    cosines = np.array([[0.9, 0.1, 0.8, -1.0]], dtype=np.float32)
    values = np.array([1.0, 5.0, 3.0, 7.0], dtype=np.float32)
    assert mean_of_nearest(cosines, values, 2).tolist() == [2.0]
    assert mean_of_nearest(cosines, values, 99).tolist() == [4.0]


@pytest.mark.parametrize(("rule", "parameter"), [(mean_of_nearest, 1.0), (log_odds_of_alike, 1e6)])
def test_a_training_row_is_not_told_from_its_own_label(rule: object, parameter: float) -> None:
    assert callable(rule)
    vectors = unit(400, seed=3)
    rows = Rows.of(vectors, (np.arange(400) % 2).astype(np.float64))
    others = Rows.of(vectors[1:], (np.arange(1, 400) % 2).astype(np.float64))
    queries = vectors.astype(np.float32)
    own = rows.raw_of_own(queries, np.arange(400), rule=rule, parameter=parameter)
    assert own[0] == pytest.approx(others.raw(queries[:1], rule=rule, parameter=parameter)[0], abs=1e-4)


def test_a_row_that_is_not_kept_is_told_from_all() -> None:
    vectors = unit(10, seed=3)
    rows = Rows.of(vectors, labels(10))
    strangers = unit(5, seed=4).astype(np.float32)
    told = rows.raw_of_own(strangers, np.full(5, -1), rule=mean_of_nearest, parameter=3)
    assert told == pytest.approx(rows.raw(strangers, rule=mean_of_nearest, parameter=3))


def test_half_precision_moves_no_cosine_by_more_than_a_thousandth() -> None:
    vectors = unit(200, seed=6)
    rows = Rows.of(vectors, labels(200))
    assert np.abs(rows.vectors @ rows.vectors.T - vectors @ vectors.T).max() < 1e-3
