"""Whether a data folder is right: files, hashes, columns, numbers of rows. One of the user's own is judged alike.

Problems are told by file and row and never quote a row. What nobody has a hash of is not called wrong for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steersman.classifier import benchmarks, json_lines
from steersman.classifier.datasets import lock, row_checks
from steersman.classifier.datasets.registry import VERBATIM, DataSet, Output, data_sets
from steersman.classifier.datasets.row_checks import Problem
from steersman.classifier.errors import DataError


@dataclass(frozen=True, slots=True)
class Standing:
    """Which files of a data set are there, by their paths in the data folder."""

    there: tuple[str, ...]
    unknown: tuple[str, ...]
    """Of those, the ones that nobody has a hash of."""
    changed: tuple[str, ...]
    """And the ones that are not what they were."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one data set."""

    data_set: DataSet
    rows: int
    hashed: int
    """Files whose hash was known and is right."""
    files: int
    """Files that are there."""
    problems: tuple[Problem, ...]


def check(folder: Path) -> tuple[Checked, ...]:
    """Check every data set of which something is in a data folder.

    Raises:
        DataError: Nothing is, or `data.lock` cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; `steersman data fetch NAME --into {folder}` makes it")
    known = lock.read(folder)
    found = tuple(
        _checked(each, folder, known)
        for each in data_sets()
        if any((folder / output.path).is_file() for output in each.outputs)
    )
    if not found:
        raise DataError(f"{folder} holds no data set that is known; `steersman data list` shows them")
    return found


def standing(data_set: DataSet, folder: Path) -> Standing:
    """How much of a data set is in a data folder, without a look at its rows.

    Raises:
        DataError: `data.lock` or a file cannot be read.
    """
    hashes = _known_hashes(data_set, lock.read(folder))
    there = tuple(output.path for output in data_set.outputs if (folder / output.path).is_file())
    return Standing(
        there=there,
        unknown=tuple(path for path in there if path not in hashes),
        changed=tuple(path for path in there if path in hashes and _sha256(folder / path) != hashes[path]),
    )


def _known_hashes(data_set: DataSet, records: lock.Lock) -> Mapping[str, str]:
    """SHA-256 in hex of its files, as far as they are known, by their paths in the data folder."""
    recorded = records[data_set.name].outputs if data_set.name in records else {}
    if data_set.form != VERBATIM:
        return recorded
    published = {f"{data_set.name}/{file.path}": file.sha256 for file in data_set.files if file.sha256}
    return {**recorded, **published}


def _checked(data_set: DataSet, folder: Path, records: lock.Lock) -> Checked:
    hashes = _known_hashes(data_set, records)
    looked = [_looked(folder / each.path, each, hashes.get(each.path)) for each in data_set.outputs]
    rows = sum(each.rows for each in looked)
    problems = [problem for each in looked for problem in each.problems]
    if data_set.name == benchmarks.FOLDER and not problems:
        rows, problems = _benchmarks(folder)
    return Checked(
        data_set=data_set,
        rows=rows,
        hashed=sum(each.hashed for each in looked),
        files=sum(each.there for each in looked),
        problems=tuple(problems),
    )


@dataclass(frozen=True, slots=True)
class _File:
    there: bool
    hashed: bool
    rows: int
    problems: tuple[Problem, ...]


def _looked(path: Path, output: Output, expected: str | None) -> _File:
    if not path.is_file():
        return _File(there=False, hashed=False, rows=0, problems=(Problem(output.path, "is missing"),))
    rows, problems = row_checks.check(path, output) if output.columns else (0, ())
    hashed = expected is not None and _sha256(path) == expected
    if expected is not None and not hashed:
        changed = Problem(output.path, f"was changed: its SHA-256 is not {expected}")
        problems = (changed, *problems)
    return _File(there=True, hashed=hashed, rows=rows, problems=problems)


def _sha256(path: Path) -> str:
    return hashlib.sha256(json_lines.read(path)).hexdigest()


def _benchmarks(folder: Path) -> tuple[int, list[Problem]]:
    try:
        found = benchmarks.read_all(folder)
    except DataError as error:
        return 0, [Problem(benchmarks.FOLDER, str(error))]
    return sum(len(benchmark.prompts) for benchmark in found), []
