"""RouteLLM's questions as other pairs of models answered them: what a router knows of its own pair alone fails here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from steersman.classifier.datasets import registry
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation import rows
from steersman.classifier.evaluation.benchmark import Benchmark

FOLDER = "eval_only_extra"


def read_all(data: Path) -> Iterator[tuple[Benchmark, str, str]]:
    """Read each set of `transfer_pairs.toml`, and tell its file by its path in the data folder and by its SHA-256.

    Raises:
        DataError: A file is missing or malformed.
    """
    if not (data / FOLDER).is_dir():
        raise DataError(
            f"{data / FOLDER} is no folder; the transfer sets are read from there: "
            f"{registry.how_to_get(data / FOLDER)}"
        )
    described = resources.files(__package__).joinpath("transfer_pairs.toml").read_text(encoding="utf-8")
    for entry in tomllib.loads(described)["set"]:
        path = data / FOLDER / entry["file"]
        pair = rows.Pair(strong=entry["strong"], weak=entry["weak"])
        benchmark, digest = rows.read(path, pair, name=entry["name"])
        yield benchmark, str(path.relative_to(data)), digest
