from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from benchmarks import encoder_tuning
from benchmarks.left_out import Folds

from steersman.classifier import training
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.fine_tuning import Encoders, Floats, Lesson, Tuned
from steersman.classifier.training import Material
from unit.classifier import small_world

MOST = 20
EPOCHS = 3


class KnowsAll(Encoders):
    """Tells of each text what strong gains on it, and counts its lessons."""

    def __init__(self, material: Material) -> None:
        texts = [text for examples in material.examples for text in examples.texts]
        self.gains = dict(zip(texts, material.pool.targets, strict=True))
        self.lessons: list[Lesson] = []

    def tune(self, lesson: Lesson, *, epochs: int, progress: Callable[[float], None]) -> Tuned:
        assert epochs == EPOCHS
        progress(1.0)
        self.lessons.append(lesson)
        return Told(self.gains)


class Told(Tuned):
    def __init__(self, gains: dict[str, float]) -> None:
        self.gains = gains

    def logits(self, texts: Sequence[str]) -> Floats:
        return np.array([[self.gains[text]] for text in texts])


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("world")
    return training.prepare(
        small_world.write_data(folder / "data"),
        environment={DIRECTORY_VARIABLE: str(small_world.write_embeddings(folder / "embeddings"))},
        progress=lambda *_: None,
    )


@pytest.fixture(scope="module")
def encoders(material: Material) -> KnowsAll:
    return KnowsAll(material)


@pytest.fixture(scope="module")
def found(material: Material, encoders: KnowsAll) -> dict[str, Folds]:
    heads = encoder_tuning.heads(material, encoders, most=MOST, epochs=EPOCHS, progress=lambda *_: None)
    return dict(heads)


def test_the_encoder_is_tuned_once_for_each_source_left_out_on_some_rows_of_the_others(
    found: dict[str, Folds], encoders: KnowsAll, material: Material
) -> None:
    folds = found[f"fine-tuned, epochs: {EPOCHS}"]
    assert len(encoders.lessons) == len(folds) == len(material.examples) - 1  # gsm8k_train has no answers
    for index, lesson in enumerate(encoders.lessons):
        assert index not in lesson.source
        assert max(np.bincount(lesson.source)) == MOST


def test_an_encoder_that_knows_what_strong_gains_is_found_out(found: dict[str, Folds]) -> None:
    _, same, tuned, mean, _ = found.values()
    for alone, with_static, static in zip(tuned, mean, same, strict=True):
        assert alone.apgr >= with_static.apgr > static.apgr
        assert alone.rows == static.rows <= MOST
