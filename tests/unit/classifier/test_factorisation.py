from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from steersman.classifier import factorisation
from steersman.classifier.battles import Battles, Model
from steersman.classifier.factorisation import Factors, _Loss, _start

ROWS, INPUTS, WIDTH = 300, 5, 3
MODELS = tuple(Model(source=0, name=name, side=side) for name, side in (("s", 1), ("t", 1), ("w", -1)))


def inputs() -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(ROWS, INPUTS))


def battles() -> Battles:
    """The strong models win where the first input is high."""
    generator = np.random.default_rng(2)
    row = np.repeat(np.arange(ROWS), 2)
    first = np.tile([0, 1], ROWS)
    chance = 1 / (1 + np.exp(-3 * inputs()[row, 0] - 1))
    won = (generator.random(len(row)) < chance).astype(np.float64)
    return Battles(MODELS, row, first, np.full(len(row), 2), won)


def fit(*, penalty: float = 0.001, seed: int = 0) -> Factors:
    return factorisation.fit(
        inputs(),
        battles(),
        weights=np.ones(2 * ROWS),
        penalty=np.full(INPUTS, penalty),
        width=WIDTH,
        generator=np.random.default_rng(seed),
    )


def test_the_odds_follow_what_decides_the_battles() -> None:
    strengths = fit().strengths(np.array([[2.0, 0, 0, 0, 0], [-2.0, 0, 0, 0, 0], [0, 2.0, 0, 0, 0]]))
    high, low, other = strengths[:, 0] - strengths[:, 2]
    assert high == pytest.approx(7, abs=2.5)
    assert low == pytest.approx(-5, abs=2.5)
    assert other == pytest.approx(1, abs=1)


def test_a_strong_penalty_leaves_each_model_its_overall_strength() -> None:
    strengths = fit(penalty=1000.0).strengths(inputs())
    ahead = strengths[:, 0] - strengths[:, 2]
    assert ahead.std() < 0.05
    assert 0 < ahead.mean() < 1


def test_the_same_seed_gives_the_same_factors() -> None:
    assert np.array_equal(fit().projection, fit().projection)
    assert not np.array_equal(fit().projection, fit(seed=1).projection)


def test_the_slope_is_that_of_the_loss() -> None:
    loss = _Loss(inputs(), battles(), np.full(2 * ROWS, 1 / (2 * ROWS)), np.full(INPUTS, 0.1))
    start = _start(INPUTS, len(MODELS), width=WIDTH, generator=np.random.default_rng(3))
    for name in ("projection", "offset", "models"):
        slope = getattr(loss.slope(start), name)
        step = np.zeros_like(slope)
        step.flat[1] = 1e-6
        moved = [_value(loss, _moved(start, name, sign * step)) for sign in (1, -1)]
        assert slope.flat[1] == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-4, abs=1e-8)


def _moved(factors: Factors, name: str, step: npt.NDArray[np.float64]) -> Factors:
    values = {each: getattr(factors, each) for each in ("projection", "offset", "models")}
    return Factors(**values | {name: values[name] + step})


def _value(loss: _Loss, at: Factors) -> float:
    strengths, fought = at.strengths(loss.inputs), loss.battles
    ahead = strengths[fought.row, fought.first] - strengths[fought.row, fought.second]
    missed = fought.won * np.logaddexp(0, -ahead) + (1 - fought.won) * np.logaddexp(0, ahead)
    products = (at.projection @ at.models.T) ** 2
    return float(loss.weights @ missed + (loss.penalty @ products).sum() / 2)
