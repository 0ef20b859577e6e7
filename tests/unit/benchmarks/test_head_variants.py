from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import head_fits, head_variants, source_transfer
from benchmarks.head_variants import Variant, World
from benchmarks.other_kinds import Questions
from benchmarks.word_features import KINDS, WordFeatures

from steersman.classifier import training
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.training import Material
from unit.classifier import small_world

VARIANTS = head_variants.variants()


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world.write_embeddings(tmp_path_factory.mktemp("embeddings"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def material(data: Path, embeddings: Path) -> Material:
    environment = {DIRECTORY_VARIABLE: str(embeddings)}
    return training.prepare(data, environment=environment, progress=lambda *_: None)


@pytest.fixture(scope="module")
def world(material: Material, data: Path, embeddings: Path) -> World:
    return head_variants.world_of(material, data, WordFeatures.load(embeddings))


def test_words_are_shares_by_kind_and_form(embeddings: Path) -> None:
    (row,) = WordFeatures.load(embeddings).of_texts([b"Why prove a theorem"])
    kinds = dict(zip(KINDS, row, strict=False))
    assert kinds["questions"] == kinds["solving"] == kinds["mathematics"] == pytest.approx(1 / 14)
    assert kinds["code"] == 0
    long, single, *_ = row[len(KINDS) :]
    assert (long, single) == (0, pytest.approx(1 / 14))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_measured_on_each_source_it_has_not_seen(
    variant: Variant, world: World, material: Material
) -> None:
    names = [each.source.folder for each in material.examples]
    folds = head_variants.left_out(variant, world, names)
    assert {fold.source for fold in folds} == set(names) - {"gsm8k_train"}
    assert np.isfinite([fold.apgr for fold in folds]).all()


def test_a_variant_does_not_differ_from_itself(world: World, material: Material) -> None:
    names = [each.source.folder for each in material.examples]
    folds = head_variants.left_out(VARIANTS[0], world, names)
    rankings, sizes = [fold.ranking for fold in folds], [fold.rows for fold in folds]
    assert np.array_equal(
        head_variants.resampled(rankings, sizes), head_variants.resampled(rankings, sizes), equal_nan=True
    )


def test_what_lies_beyond_columns_has_nothing_of_them_left() -> None:
    columns = np.random.default_rng(0).normal(size=(40, 2))
    left = head_fits.beyond(columns @ np.array([2.0, -1.0]) + 3, columns)
    assert left == pytest.approx(np.zeros(40), abs=1e-9)


def questions(name: str, *, sign: float, seed: int) -> Questions:
    """Whose gain rises with the last column, or falls."""
    inputs = np.random.default_rng(seed).normal(size=(200, 24))
    texts = [f"{name} {index}" for index in range(200)]
    return Questions(name, texts, inputs, 0.5 + sign * inputs[:, -1])


def test_sets_that_want_the_opposite_are_below_random_of_each_other() -> None:
    first, same, opposite = (
        questions(name, sign=sign, seed=seed) for name, sign, seed in (("a", 1, 0), ("b", 1, 1), ("c", -1, 2))
    )
    assert source_transfer.across(first, same) > 0.5 > source_transfer.across(first, opposite)
    assert source_transfer.across(first, first) > 0.5
