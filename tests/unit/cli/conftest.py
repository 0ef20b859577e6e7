from __future__ import annotations

from pathlib import Path

import pytest

from steersman.classifier.embeddings import DIRECTORY_VARIABLE
from steersman.cli.__main__ import main
from unit.classifier import small_world


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world.write_embeddings(tmp_path_factory.mktemp("embeddings"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return small_world.write_data(tmp_path / "data")


@pytest.fixture
def artefact(data: Path, embeddings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained artefact of the small world."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(embeddings))
    assert main(["train", "static_head", "--data", str(data), "--out", str(tmp_path / "artefact")]) == 0
    return tmp_path / "artefact"
