from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from steersman.classifier import artefact
from steersman.classifier.errors import ArtefactError
from steersman.cli import contenders

MODELS = Path(__file__).parents[3] / "triton_models"


def test_a_model_is_loaded_in_its_newest_version(tmp_path: Path) -> None:
    for version in ("2", "10"):
        shutil.copytree(MODELS / "length" / "1", tmp_path / version)
    found = contenders.load(tmp_path)
    assert found.directory == tmp_path / "10"
    assert found.digest == artefact.read(MODELS / "length" / "1")[1][artefact.DIGEST]


def test_where_one_classifier_is_wanted_several_are_refused() -> None:
    with pytest.raises(ArtefactError, match="several models; name one"):
        contenders.load(MODELS)


def test_a_classifier_rates_prompts_in_their_order() -> None:
    told: list[str] = []
    short, long = contenders.load(MODELS / "length").rate(["short", "long " * 500], told.append)
    assert short < long
    assert told == ["length: 0 of 2 prompts scored"]
