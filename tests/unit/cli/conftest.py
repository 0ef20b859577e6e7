from __future__ import annotations

from pathlib import Path

import pytest

from steersman.classifier import methods
from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from unit.classifier import small_world


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world.write_embeddings(tmp_path_factory.mktemp("embeddings"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return small_world.write_data(tmp_path / "data")


@pytest.fixture(scope="session")
def trained(embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a trained artefact, in a model repository."""
    folder = tmp_path_factory.mktemp("trained")
    out = folder / "repository" / "static_head" / "1"
    methods.named("static_head").train(
        small_world.write_data(folder / "data"),
        out=out,
        seed=0,
        environment={DIRECTORY_VARIABLE: str(embeddings)},
        progress=lambda _stage, _done: None,
    )
    return out
