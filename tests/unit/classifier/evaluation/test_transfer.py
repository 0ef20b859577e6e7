from __future__ import annotations

import gzip
import json
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from steersman.classifier.errors import DataError
from steersman.classifier.evaluation import transfer


def pairs() -> list[dict[str, str]]:
    package = resources.files("steersman.classifier.evaluation")
    found: list[dict[str, str]] = tomllib.loads(package.joinpath("transfer_pairs.toml").read_text("utf-8"))[
        "set"
    ]
    return found


def write_sets(data: Path) -> None:
    folder = data / transfer.FOLDER
    folder.mkdir(parents=True)
    models = {model for pair in pairs() for model in (pair["strong"], pair["weak"])}
    row = json.dumps({"prompt": "a question", "scores": dict.fromkeys(models, 1)})
    for file in {pair["file"] for pair in pairs()}:
        (folder / file).write_bytes(gzip.compress(row.encode()))


def test_every_pair_is_a_benchmark_of_its_own(tmp_path: Path) -> None:
    write_sets(tmp_path)
    found = list(transfer.read_all(tmp_path))
    assert [benchmark.name for benchmark, _, _ in found] == [pair["name"] for pair in pairs()]
    assert [benchmark.strong_model for benchmark, _, _ in found] == [pair["strong"] for pair in pairs()]
    assert all(path.startswith("eval_only_extra/") for _, path, _ in found)


def test_names_are_distinct_and_the_documentation_has_each_pair() -> None:
    names = [pair["name"] for pair in pairs()]
    assert len(names) == len(set(names))
    page = (Path(__file__).parents[4] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    for pair in pairs():
        assert f"| `{pair['name']}` | `{pair['strong']}` | `{pair['weak']}` |" in page


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="eval_only_extra"):
        list(transfer.read_all(tmp_path))
