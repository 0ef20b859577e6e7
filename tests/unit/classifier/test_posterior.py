from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from steersman.classifier.posterior import Posterior, learn

Floats = npt.NDArray[np.float64]

PLACES = np.random.default_rng(1).normal(size=(60, 2))
ALIKE = np.exp(-((PLACES[:, None] - PLACES) ** 2).sum(axis=2))
LINEAR = PLACES @ PLACES.T


def targets(*, bent: bool) -> Floats:
    raw = np.cos(2 * PLACES[:, 0]) if bent else np.random.default_rng(2).normal(size=len(PLACES))
    return np.asarray(raw - raw.mean())


def told(learnt: Posterior, rows: npt.NDArray[np.intp], row: int) -> float:
    """What examples say of another place."""
    covariance = LINEAR[row, rows] + learnt.amplitude * ALIKE[row, rows]
    return float(covariance @ learnt.coefficients)


@pytest.mark.parametrize("amplitude", [0.0, 0.5])
def test_an_example_left_out_is_told_as_if_it_had_never_been_there(amplitude: float) -> None:
    learnt = learn(LINEAR, ALIKE, targets(bent=True), amplitudes=(amplitude,))
    for row in (0, 17, 59):
        others = np.delete(np.arange(len(PLACES)), row)
        without = learn(
            LINEAR[np.ix_(others, others)],
            ALIKE[np.ix_(others, others)],
            targets(bent=True)[others],
            amplitudes=(amplitude,),
        )
        assert learnt.left_out[row] == pytest.approx(told(without, others, row))


def test_likeness_is_heeded_where_what_is_alike_has_like_targets() -> None:
    assert learn(LINEAR, ALIKE, targets(bent=True), amplitudes=(0.0, 0.1, 1.0)).amplitude == 1.0


def test_likeness_is_not_heeded_where_targets_are_noise() -> None:
    assert learn(LINEAR, ALIKE, targets(bent=False), amplitudes=(0.0, 0.1, 1.0)).amplitude == 0.0


def test_without_likeness_it_is_a_ridge_regression() -> None:
    learnt = learn(LINEAR, ALIKE, targets(bent=True), amplitudes=(0.0,))
    ridge = np.linalg.solve(PLACES.T @ PLACES + np.eye(2), PLACES.T @ targets(bent=True))
    assert LINEAR @ learnt.coefficients == pytest.approx(PLACES @ ridge)
