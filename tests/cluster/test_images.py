"""One checkout makes the same image each time."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from cluster import images
from cluster.images import Image


@pytest.mark.skipif(os.environ.get("BUILDER") not in {"podman", "buildah"}, reason="docker keeps the time")
def test_two_builds_of_one_checkout_are_alike(built: dict[str, Image], tmp_path: Path) -> None:
    scaler = built["scaler"]
    before = scaler.archive if scaler.archive.exists() else images.build_into(tmp_path / "before", scaler)

    again = images.build_into(tmp_path / "again", scaler)

    assert _configuration(again) == _configuration(before)


def _configuration(archive: Path) -> str:
    """The hash of an image's configuration, which holds those of all its layers."""
    with tarfile.open(archive) as opened:
        manifest = opened.extractfile("manifest.json")
        assert manifest is not None
        return str(json.load(manifest)[0]["Config"])
