from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import encoder_heads, encoder_states
from benchmarks.encoder_heads import World

from steersman.classifier import training
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.methods import causal_llm
from unit.classifier import small_world

WIDTH = 5


class Lengths:
    """Tells a text's length, and counts what it was asked."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def states(self, texts: Sequence[str]) -> encoder_states.Kept:
        self.read += texts
        lengths = np.array(list(map(len, texts)), dtype=np.float16)
        return np.stack([np.stack([lengths, np.ones_like(lengths)], axis=1)] * 3, axis=1)


def test_a_text_is_read_once_and_kept_between_runs(tmp_path: Path) -> None:
    encoder, cache = Lengths(), tmp_path / "made" / "states.npz"
    for texts in (["a", "abc", "a"], ["abc", "abcd"]):
        first, *others = encoder_states.of_texts(texts, lambda: encoder, cache=cache, progress=lambda _: None)
        assert len(others) == 2
        assert first[:, 0] / first[:, 1] == pytest.approx([len(text) for text in texts], rel=1e-3)
        assert np.linalg.norm(first, axis=1) == pytest.approx(np.ones(len(texts)))
    assert encoder.read == ["a", "abc", "abcd"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Whose encoder knows nothing."""
    folder = tmp_path_factory.mktemp("world")
    material = training.prepare(
        small_world.write_data(folder / "data"),
        environment={DIRECTORY_VARIABLE: str(small_world.write_embeddings(folder / "embeddings"))},
        progress=lambda *_: None,
    )
    generator = np.random.default_rng(0)
    rows = causal_llm.sampled(material.pool.source, most=20, generator=generator)
    vectors = np.where(rows[:, None], generator.normal(size=(len(rows), WIDTH)), np.nan)
    names = [each.source.folder for each in material.examples]
    return World(material.pool, names, rows, (vectors, vectors, vectors))


def test_every_head_is_measured_on_what_was_read_of_each_source_it_has_not_seen(world: World) -> None:
    for _, folds in encoder_heads.heads(world):
        assert {fold.source for fold in folds} == set(world.names) - {"gsm8k_train"}
        assert all(fold.rows <= 20 and np.isfinite(fold.apgr) for fold in folds)


def test_an_encoder_that_knows_what_strong_gains_is_found_out(world: World) -> None:
    knowing = np.where(world.rows[:, None], world.pool.targets[:, None], np.nan)
    found = dict(encoder_heads.heads(replace(world, vectors=(*world.vectors[:2], knowing))))
    for head in (
        "after 3/3 of the layers, 30",
        "after 3/3 of the layers, 30, beside the static head's output",
    ):
        for fold, static in zip(found[head], found["static embeddings, the same rows"], strict=True):
            assert fold.apgr > static.apgr
