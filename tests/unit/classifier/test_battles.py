from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.battles import Battles
from steersman.classifier.training_data import Examples, Source


def examples(*outcomes: list[float]) -> Examples:
    """Rows that s, w1 and w2 have answered, where s is strong and the others weak."""
    rows = len(outcomes)
    return Examples(
        source=Source(folder="chat", licence="MIT", reference_share=1.0, strong=("s",), weak=("w1", "w2")),
        texts=("",) * rows,
        gains=np.zeros(rows),
        wins=np.zeros(rows),
        group=np.full(rows, "chat"),
        models=("s", "w1", "w2"),
        outcomes=np.array(outcomes),
        sha256="",
        left_out=0,
    )


NONE = float("nan")


def test_every_two_models_that_answered_a_row_fight_on_it() -> None:
    battles = Battles.of([examples([1.0, 0.0, 0.5], [1.0, NONE, 1.0])])
    told = set(zip(battles.row, battles.first, battles.second, battles.won, strict=True))
    assert told == {(0, 0, 1, 1.0), (0, 0, 2, 1.0), (0, 1, 2, 0.0), (1, 0, 2, 0.5)}


def test_a_model_is_another_one_in_each_source() -> None:
    battles = Battles.of([examples([1.0, 0.0, 0.0]), examples([0.0, 1.0, 1.0])])
    assert [(model.source, model.name) for model in battles.models] == [
        (source, name) for source in (0, 1) for name in ("s", "w1", "w2")
    ]
    assert set(battles.first[battles.row == 1]) <= {3, 4}


def test_rows_are_numbered_anew_where_some_are_left_out() -> None:
    battles = Battles.of([examples([1.0, 0.0, NONE], [0.0, 1.0, NONE], [0.5, 0.5, NONE])])
    kept = battles.among(np.array([False, True, True]))
    assert kept.row.tolist() == [0, 1]
    assert kept.won.tolist() == [0.0, 0.5]


def test_battles_across_tiers_are_told_from_the_strong_side() -> None:
    battles = Battles.of([examples([0.0, 1.0, 1.0])])
    turned = Battles(
        battles.models, battles.row, battles.second, battles.first, 1 - battles.won
    ).across_tiers()
    assert turned.first.tolist() == [0, 0]
    assert turned.won.tolist() == [0.0, 0.0]


def test_a_rows_share_counts_a_tie_as_half_and_is_nan_without_a_battle() -> None:
    battles = Battles.of([examples([1.0, 0.0, 1.0], [NONE, NONE, 1.0])])
    shares = battles.across_tiers().share_per_row(2)
    assert shares[0] == pytest.approx(0.75)
    assert np.isnan(shares[1])


def test_sources_that_no_model_answered_have_no_battles() -> None:
    empty = examples([NONE, NONE, NONE])
    assert Battles.of([empty]).row.size == 0
    assert Battles.of([]).models == ()
