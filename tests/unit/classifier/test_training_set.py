from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import training, validation
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.classifier.training import Material
from unit.classifier import small_world


@pytest.fixture
def material(data: Path, embeddings: Path) -> Material:
    environment = {DIRECTORY_VARIABLE: str(embeddings)}
    return training.prepare(data, environment=environment, progress=lambda *_: None)


def test_rows_that_stand_for_all_leave_each_source_its_part_of_the_traffic(material: Material) -> None:
    pool = material.pool
    rows = np.zeros(len(pool.source), dtype=np.bool_)
    rows[[*range(3), *np.flatnonzero(pool.source > 0)]] = True
    part = pool.represented_by(rows)
    expected = np.bincount(pool.source, weights=pool.reference)
    assert np.bincount(part.source, weights=part.reference) == pytest.approx(expected)
    assert part.reference[:3] == pytest.approx([expected[0] / 3] * 3)


def test_a_battle_of_other_models_leaves_the_targets_of_its_source_as_they_were(
    data: Path, embeddings: Path, tmp_path: Path
) -> None:
    names = {"model_a": "big", "model_b": "small"}
    rows = [{"prompt": f"battle {n}", "winner": ("model_a", "model_b")[n % 2], **names} for n in range(40)]
    others = {"prompt": "others", "model_a": "big", "model_b": "third", "winner": "model_a"}
    targets = []
    for name, content in (("without", rows), ("with", [*rows, others])):
        small_world.write_json_lines(tmp_path / name, content)
        battles = BattleFile(tmp_path / name, strong=("big",), weak=("small",))
        environment = {DIRECTORY_VARIABLE: str(embeddings)}
        read = training.prepare(data, environment=environment, progress=lambda *_: None, battles=battles)
        targets.append(read.pool.targets[read.pool.source == 0])
    assert targets[1][:40].tolist() == targets[0].tolist()
    assert np.isnan(targets[1][40:]).all()


def test_a_fold_is_measured_on_the_rows_that_can_be_ranked(material: Material) -> None:
    names = [each.source.folder for each in material.examples]
    measured = np.arange(len(material.pool.source)) % 2 == 0
    folds = validation.leave_one_out(
        material.pool, names, fit=lambda _: lambda inputs: inputs[:, 0], measured=measured
    )
    assert {fold.source for fold in folds} == set(names) - {"gsm8k_train"}
    assert {fold.rows for fold in folds} == {10}
