from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steersman.classifier import artefact
from steersman.classifier.errors import ArtefactError

TENSORS = {"weights": np.arange(3, dtype=np.float32)}
MANIFEST = {"method": "static_head", "seed": 0}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    digest = artefact.write(tmp_path / "1", tensors=TENSORS, manifest=MANIFEST)
    tensors, manifest = artefact.read(tmp_path / "1", digest=digest)
    assert tensors["weights"].tolist() == [0, 1, 2]
    assert manifest == {"artefact_digest": digest, **MANIFEST}


def test_the_digest_covers_weights_and_manifest(tmp_path: Path) -> None:
    other = {"weights": np.zeros(3, dtype=np.float32)}
    digests = {
        artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST),
        artefact.write(tmp_path, tensors=other, manifest=MANIFEST),
        artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST | {"seed": 1}),
    }
    assert len(digests) == 3


def test_weights_and_manifest_of_two_trainings_do_not_pass_for_one(tmp_path: Path) -> None:
    for seed in (0, 1):
        artefact.write(tmp_path / str(seed), tensors=TENSORS, manifest={"seed": seed})
    (tmp_path / "1" / artefact.MANIFEST).replace(tmp_path / "0" / artefact.MANIFEST)
    changed = {"weights": np.zeros(3, dtype=np.float32)}
    artefact.write(tmp_path / "2", tensors=changed, manifest={"seed": 1})
    (tmp_path / "2" / artefact.HEAD).replace(tmp_path / "0" / artefact.HEAD)
    with pytest.raises(ArtefactError, match="do not belong together"):
        artefact.read(tmp_path / "0")


def test_another_artefact_than_the_configured_one_is_refused(tmp_path: Path) -> None:
    artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST)
    with pytest.raises(ArtefactError, match="not the one that is configured"):
        artefact.read(tmp_path, digest="0" * 64)


def test_the_model_configuration_gets_the_digest_of_the_version(tmp_path: Path) -> None:
    configuration = tmp_path / "config.pbtxt"
    configuration.write_text('name: "m"\n', encoding="utf-8")
    first = artefact.write(tmp_path / "1", tensors=TENSORS, manifest=MANIFEST)
    second = artefact.write(tmp_path / "2", tensors=TENSORS, manifest=MANIFEST | {"seed": 2})
    again = artefact.write(tmp_path / "1", tensors=TENSORS, manifest=MANIFEST | {"seed": 3})
    entry = 'parameters {{ key: "artefact_digest.{}" value: {{ string_value: "{}" }} }}\n'
    expected = 'name: "m"\n' + entry.format(1, again) + entry.format(2, second)
    assert configuration.read_text(encoding="utf-8") == expected
    assert first != again


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_finite_numbers_are_not_written(tmp_path: Path, value: float) -> None:
    tensors = {"weights": np.array([1.0, value], dtype=np.float32)}
    with pytest.raises(ArtefactError, match="not all of 'weights' are finite"):
        artefact.write(tmp_path / "1", tensors=tensors, manifest=MANIFEST)
    assert not (tmp_path / "1").exists()


def test_a_metric_that_is_not_finite_is_null_in_the_manifest(tmp_path: Path) -> None:
    metrics = {"apgr": [np.float64("nan"), 0.5], "high": float("inf")}
    digest = artefact.write(tmp_path, tensors=TENSORS, manifest={"metrics": metrics})
    _, manifest = artefact.read(tmp_path, digest=digest)
    assert manifest["metrics"] == {"apgr": [None, 0.5], "high": None}


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    before = artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST)
    (tmp_path / f".{artefact.MANIFEST}.partial").mkdir()
    with pytest.raises(ArtefactError, match="cannot write"):
        artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST | {"seed": 1})
    assert artefact.read(tmp_path)[1][artefact.DIGEST] == before
    assert not (tmp_path / f".{artefact.HEAD}.partial").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ArtefactError, match="cannot write"):
        artefact.write(tmp_path / "file", tensors=TENSORS, manifest=MANIFEST)


@pytest.mark.parametrize("name", [artefact.HEAD, artefact.MANIFEST])
def test_a_damaged_file_is_told(tmp_path: Path, name: str) -> None:
    artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST)
    (tmp_path / name).write_bytes(b"\0damage")
    with pytest.raises(ArtefactError, match="damaged"):
        artefact.read(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=artefact.HEAD):
        artefact.read(tmp_path)


@pytest.mark.parametrize("text", ["[]", "null"])
def test_a_manifest_that_is_no_object_is_told(tmp_path: Path, text: str) -> None:
    artefact.write(tmp_path, tensors=TENSORS, manifest=MANIFEST)
    (tmp_path / artefact.MANIFEST).write_text(json.dumps(json.loads(text)), encoding="utf-8")
    with pytest.raises(ArtefactError, match="damaged"):
        artefact.read(tmp_path)


def test_further_files_belong_to_the_artefact(tmp_path: Path) -> None:
    files = {"graph.bin": b"a graph"}
    digest = artefact.write(tmp_path / "a", tensors={}, manifest={"method": "x"}, files=files)
    other = artefact.write(
        tmp_path / "b", tensors={}, manifest={"method": "x"}, files={"graph.bin": b"other"}
    )
    assert digest != other
    _, manifest = artefact.read(tmp_path / "a", digest=digest)
    assert artefact.read_file(tmp_path / "a", "graph.bin", manifest) == b"a graph"
    with pytest.raises(ArtefactError, match=r"graph.bin and manifest.json .* do not belong together"):
        artefact.read_file(tmp_path / "b", "graph.bin", manifest)
    with pytest.raises(ArtefactError, match="cannot read"):
        artefact.read_file(tmp_path, "graph.bin", manifest)
