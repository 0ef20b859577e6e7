from __future__ import annotations

import numpy as np
import pytest
from benchmarks.other_answers import Answers

MODELS = ("best", "good", "fair", "poor", "worse", "worst")


@pytest.fixture
def answers() -> Answers:
    """Each model fails one question more than the one before."""
    success = np.array([[float(row >= column) for column in range(6)] for row in range(6)])
    return Answers(MODELS, success)


def test_others_stand_in_for_a_pair_by_how_successful_they_are(answers: Answers) -> None:
    gains = answers.alike((answers.level(["good"]), answers.level(["worse"])), of_each=1)
    assert gains.tolist() == [0, 1, 1, 1, 0, 0]


def test_no_model_is_on_both_sides(answers: Answers) -> None:
    best_less_second_best = [1, 0, 0, 0, 0, 0]
    assert answers.alike((1.0, 1.0), of_each=1).tolist() == best_less_second_best


def test_the_best_and_the_worst_third_are_apart(answers: Answers) -> None:
    assert answers.apart().tolist() == [0.5, 1, 1, 1, 0.5, 0]


def test_models_that_were_used_can_be_left_out(answers: Answers) -> None:
    others = answers.among({"best", "worst"})
    assert list(others.models) == ["best", "worst"]
    assert others.apart().tolist() == [1, 1, 1, 1, 1, 0]


def test_a_question_that_one_side_has_not_answered_gains_nothing() -> None:
    answers = Answers(("big", "small"), np.array([[1.0, 0.0], [1.0, np.nan], [1.0, 1.0]]))
    assert answers.apart().tolist() == [1, 0, 0]
