from __future__ import annotations

from benchmarks.prompts import Prompts


def test_no_prompt_comes_twice() -> None:
    prompts = Prompts().some(10_000)

    assert len(set(prompts)) == len(prompts)


def test_every_run_gets_the_same_prompts() -> None:
    assert Prompts(seed=3).some(100) == Prompts(seed=3).some(100)


def test_sources_of_different_seeds_share_no_prompt() -> None:
    assert not set(Prompts(seed=1).some(5000)) & set(Prompts(seed=2).some(5000))


def test_lengths_are_mixed_over_orders_of_magnitude() -> None:
    lengths = Prompts().lengths

    assert lengths.shortest < 50
    assert 150 < lengths.median < 400
    assert lengths.longest > 1500
