from __future__ import annotations

import numpy as np
import pytest

from steersman.classifier.validation import Fold, measure


def a_fold(source: str, *, seed: int, rows: int = 400, worth: float = 0.5) -> Fold:
    """Rows whose gains show in the outputs, the more the more these are worth."""
    generator = np.random.default_rng(seed)
    gains = generator.random(rows)
    return Fold.of(source, worth * gains + (1 - worth) * generator.random(rows), gains)


def test_a_fold_is_as_good_as_its_outputs_order_its_gains() -> None:
    assert (
        a_fold("a", seed=0, worth=1.0).apgr > a_fold("a", seed=0).apgr > a_fold("a", seed=0, worth=0.0).apgr
    )
    assert a_fold("a", seed=0, worth=0.0).apgr == pytest.approx(0.5, abs=0.03)


def test_each_source_and_their_mean_have_an_interval_around_what_was_found() -> None:
    folds = [a_fold(name, seed=number) for number, name in enumerate("abcd")]
    found = measure(folds, seed=0)
    assert list(found.by_source) == list("abcd")
    assert [each.value for each in found.by_source.values()] == [fold.apgr for fold in folds]
    assert found.mean.value == pytest.approx(np.mean([fold.apgr for fold in folds]))
    for each in (found.mean, *found.by_source.values()):
        assert each.low < each.value < each.high


def test_the_mean_of_sources_is_known_better_than_each() -> None:
    found = measure([a_fold(name, seed=number) for number, name in enumerate("abcd")], seed=0)
    widths = [each.half_width for each in found.by_source.values()]
    assert found.mean.half_width == pytest.approx(np.mean(widths) / 2, rel=0.3), "one over the root of four"


def test_the_interval_of_outputs_that_say_nothing_holds_a_half() -> None:
    (found,) = measure([a_fold("a", seed=3, worth=0.0)], seed=0).by_source.values()
    assert found.low < 0.5 < found.high


def test_the_same_seed_gives_the_same_digits() -> None:
    folds = [a_fold("a", seed=1)]
    assert measure(folds, seed=4) == measure(folds, seed=4)
    assert measure(folds, seed=4) != measure(folds, seed=5)
