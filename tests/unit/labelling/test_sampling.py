from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, strategies as st

from steersman.labelling.sampling import stratified


def draw(groups: list[str], count: int, seed: int = 0) -> list[int]:
    return stratified(groups, count, generator=np.random.default_rng(seed))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 5))
def test_each_group_gets_its_share_and_no_row_comes_twice(groups: list[str], count: int, seed: int) -> None:
    picked = draw(groups, count, seed)
    assert len(picked) == len(set(picked)) == min(count, len(groups))
    drawn = Counter(groups[row] for row in picked)
    for group, size in Counter(groups).items():
        assert abs(drawn[group] - len(picked) * size / len(groups)) < 1 + 1e-9


def test_every_row_of_a_group_has_the_same_chance() -> None:
    drawn = Counter(row for seed in range(2000) for row in draw(["a"] * 4 + ["b"] * 6, 5, seed))
    assert all(abs(drawn[row] / 2000 - 0.5) < 0.05 for row in range(10))


def test_the_same_seed_draws_the_same() -> None:
    assert draw(["a"] * 50, 10, seed=3) == draw(["a"] * 50, 10, seed=3)
    assert draw(["a"] * 50, 10, seed=3) != draw(["a"] * 50, 10, seed=4)
