"""What can be wrong with the rows of a file, told by row and without quoting one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from steersman.classifier import json_lines, training_data
from steersman.classifier.datasets.registry import Output
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line

MOST_TOLD: Final = 20
"""Problems of one file that are told one by one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not right."""

    file: str
    """By its path in the data folder."""
    what: str
    row: int | None = None
    """From 1 on; None where it is not about one."""

    def __str__(self) -> str:
        """In one line."""
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.what}"


def check(path: Path, output: Output) -> tuple[int, tuple[Problem, ...]]:
    """How many rows a file has, and what is wrong with them.

    Args:
        path: JSON lines.
        output: What they should be.
    """
    problems: list[Problem] = []
    models: set[str] = set()
    rows = 0
    try:
        for line in json_lines.parse(json_lines.read(path), path):
            rows += 1
            problems += (Problem(output.path, what, line.number) for what in _wrong(line, output))
            models.update(_models(line))
    except DataError as error:
        # What is behind a line that cannot be read is not known.
        what = str(error).removeprefix(f"{path}, ").removeprefix(f"{path} ")
        problems.append(Problem(output.path, what))
    problems += (Problem(output.path, what) for what in _wrong_as_a_whole(output, rows, models))
    return rows, tuple(_bounded(problems, output))


def _wrong_as_a_whole(output: Output, rows: int, models: set[str]) -> Iterator[str]:
    if rows < output.least_rows:
        yield f"has {rows:,} rows and should have {output.least_rows:,} at least"
    folder = output.path.partition("/")[0]
    for source in training_data.sources():
        if source.folder == folder:
            for model in (*source.strong, *source.weak):
                if model not in models:
                    yield f"no row has a score of '{model}', which training reads"


def _wrong(line: Line, output: Output) -> Iterator[str]:
    for column in output.columns:
        if column not in line.row:
            yield f"no column '{column}'"
        elif not _RIGHT[column](line.row[column]):
            yield f"column '{column}' {_SHOULD[column]}"


def _models(line: Line) -> tuple[str, ...]:
    scores = line.row.get("scores")
    return tuple(scores) if isinstance(scores, dict) else ()


def _bounded(problems: list[Problem], output: Output) -> list[Problem]:
    if len(problems) <= MOST_TOLD:
        return problems
    more = Problem(output.path, f"and {len(problems) - MOST_TOLD:,} problems more")
    return [*problems[:MOST_TOLD], more]


def _is_number(value: Any, most: float = math.inf) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= most and value < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_options(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(option, str) for option in value)


def _are_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(
        score is None or _is_number(score, most=1) for score in value.values()
    )


def _are_costs(value: Any) -> bool:
    return isinstance(value, dict) and all(cost is None or _is_number(cost) for cost in value.values())


_RIGHT: Final[Mapping[str, Callable[[Any], bool]]] = {
    "prompt": _is_text,
    "steps": _is_number,
    "options": _are_options,
    "scores": _are_scores,
    "cost": _are_costs,
}
_SHOULD: Final[Mapping[str, str]] = {
    "prompt": "should be a text that is not empty",
    "steps": "should be a number, 0 or above",
    "options": "should be a list of texts",
    "scores": "should map models to numbers in 0..1, or null",
    "cost": "should map models to numbers, 0 or above, or null",
}
