from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from steersman.classifier.evaluation.benchmark import Benchmark, Costs
from steersman.classifier.evaluation.operating import Share, Threshold, outcome

scores = st.lists(st.integers(0, 5), min_size=1, max_size=30)

FOUR = Benchmark(
    name="four",
    prompts=("a", "b", "c", "d"),
    strong=np.array([1.0, 1.0, 1.0, 0.0]),
    weak=np.array([0.0, 1.0, 0.0, 1.0]),
    costs=Costs(strong=np.array([4.0, 4.0, 8.0, 4.0]), weak=np.ones(4), basis="made up"),
)
ONCE = np.ones((1, 4))


def test_all_that_a_point_does_is_told() -> None:
    # The first two go to strong: qualities 1, 1, 0, 1 of 3 for always strong and 2 for always weak; costs 4, 4, 1, 1.
    told = outcome(FOUR, np.array([1.0, 1.0, 0.0, 0.0]), np.zeros(4, dtype=np.int64))(ONCE)
    assert {name: value.tolist() for name, value in told.items()} == {
        "strong share": [[0.5]],
        "quality": [[0.75]],
        "recovered": [[1.0]],
        "lost": [[0.0]],
        "cost": [[2.5]],
        "saved": [[0.5]],
    }


def test_each_group_is_told_apart() -> None:
    told = outcome(FOUR, np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 1, 0, 1]))(ONCE)
    assert told["strong share"].tolist() == [[0.5, 0.5]]
    assert told["quality"].tolist() == [[0.5, 1.0]]
    assert told["recovered"][0, 0] == 0.5
    assert told["lost"].tolist() == [[0.5, -0.5]]
    # Strong is worse in the second group: there is no gap to recover.
    assert np.isnan(told["recovered"][0, 1])


def test_a_group_that_a_resample_misses_has_no_figures() -> None:
    told = outcome(FOUR, np.ones(4), np.array([0, 1, 1, 1]))(np.array([[0.0, 2.0, 1.0, 1.0]]))
    assert np.isnan(told["strong share"][0, 0])
    assert told["strong share"][0, 1] == 1


def test_among_equal_scores_the_lot_decides() -> None:
    assert Share(0.5).sent(np.array([3.0, 1.0, 1.0, 0.0])).tolist() == [1, 0.5, 0.5, 0]


def test_a_score_at_the_threshold_goes_to_strong() -> None:
    assert Threshold(0.7).sent(np.array([0.69, 0.7, 0.9])).tolist() == [0, 1, 1]


@given(scores, st.floats(0, 1))
def test_a_share_is_kept_exactly_and_in_the_order_of_the_scores(
    given_scores: list[int], share: float
) -> None:
    array = np.array(given_scores, dtype=np.float64)
    sent = Share(share).sent(array)
    assert sent.mean() == pytest.approx(share)
    assert (np.diff(sent[np.argsort(array)]) >= 0).all()


@given(scores, st.data())
def test_groups_add_up_to_the_whole(given_scores: list[int], data: st.DataObject) -> None:
    count = len(given_scores)
    group = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    _, group = np.unique(group, return_inverse=True)
    benchmark = Benchmark(
        name="any",
        prompts=("x",) * count,
        strong=np.array(given_scores, dtype=np.float64),
        weak=np.zeros(count),
    )
    sent = Share(0.4).sent(np.arange(float(count)))
    parts = outcome(benchmark, sent, group)(np.ones((1, count)))
    whole = outcome(benchmark, sent, np.zeros(count, dtype=np.int64))(np.ones((1, count)))
    for name in ("strong share", "quality"):
        assert parts[name][0] @ np.bincount(group) / count == pytest.approx(whole[name][0, 0])
