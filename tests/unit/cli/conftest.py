from __future__ import annotations

from pathlib import Path

import pytest

from unit.classifier import small_world


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world.write_embeddings(tmp_path_factory.mktemp("embeddings"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return small_world.write_data(tmp_path / "data")
