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
    assert (directory / artefact.HEAD).stat().st_size < 3_000_000


def test_every_method_is_committed_but_the_one_whose_encoder_is_the_users() -> None:
    assert {path.parents[1].name for path in REPOSITORY.glob("*/1/model.py")} >= set(methods.names())
    assert {path.parent.name for path in VERSIONS} >= set(methods.names()) - {"bert"}


def test_every_model_differs_from_the_others_in_its_name_and_artefact_alone() -> None:
    programs = {path.read_bytes() for path in REPOSITORY.glob("*/*/model.py")}
    configurations = {
        re.sub(
            r'^parameters .*artefact_digest.*$|^name: "\w+"$',
            "",
            path.read_text(encoding="utf-8"),
            flags=re.MULTILINE,
        ).strip()
        for path in REPOSITORY.glob("*/config.pbtxt")
    }
    assert len(programs) == len(configurations) == 1
