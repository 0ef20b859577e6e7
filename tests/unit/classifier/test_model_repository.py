from __future__ import annotations

import re
from pathlib import Path

import pytest

from steersman.classifier import artefact, methods

REPOSITORY = Path(__file__).parents[3] / "triton_models"
VERSIONS = sorted(path.parent for path in REPOSITORY.glob("*/*/manifest.json"))


@pytest.mark.parametrize("directory", VERSIONS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_committed_artefact_is_whole_small_and_configured(directory: Path) -> None:
    _, manifest = artefact.read(directory)
    configuration = (directory.parent / "config.pbtxt").read_text(encoding="utf-8")
    configured = dict(
        re.findall(r'"artefact_digest\.(\w+)" value: \{ string_value: "(\w+)" \}', configuration)
    )
    assert configured[directory.name] == manifest[artefact.DIGEST]
    assert manifest["method"] in methods.names()
    assert (directory / artefact.HEAD).stat().st_size < 1_000_000


def test_the_default_method_is_committed() -> None:
    assert REPOSITORY / "static_head" / "1" in VERSIONS
