"""Which group each query belongs to: its language, its length, or a column of the data.

Languages are told by their script alone, which needs no model and is right often enough to see whether a router
treats one script unlike another. Japanese counts as Han where it is written mostly so.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.benchmark import Benchmark

ALL, LANGUAGE, LENGTH = "all", "language", "length"
MOST_GROUPS = 200
"""More values than this name queries rather than groups."""
_BUCKETS = 4
_MOST_NUMBERS = 12
"""A column of numbers with more values than this is cut into quarters."""
_LETTERS_READ = 2000
_NO_LETTERS = "no letters"
_UNNAMED = "OTHER"
"""For letters that this Python's Unicode has no name of."""
_NAMES = {"CJK": "Han", "FULLWIDTH": "Latin", "MATHEMATICAL": "Latin"}
"""First words of Unicode's names of letters that are not the name of their script."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every query in one group."""

    column: str
    labels: tuple[str, ...]
    group: npt.NDArray[np.int64]
    """Index into the labels, of each query."""

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Queries in each group."""
        return np.bincount(self.group, minlength=len(self.labels))


def everything(benchmark: Benchmark) -> Grouping:
    """All queries in one group."""
    return Grouping(column=ALL, labels=(ALL,), group=np.zeros(len(benchmark.prompts), dtype=np.int64))


def has(benchmark: Benchmark, column: str) -> bool:
    """Whether its queries can be grouped by it."""
    return column in benchmark.columns or column in {LANGUAGE, LENGTH}


def grouping(benchmark: Benchmark, column: str) -> Grouping:
    """Group the queries by a column, or by language or length where no column is called so.

    Raises:
        DataError: There is no such column, or it has too many values.
    """
    if column in benchmark.columns:
        return _by_values(column, benchmark.columns[column])
    if column == LANGUAGE:
        return _by_values(column, [script(prompt) for prompt in benchmark.prompts])
    if column == LENGTH:
        return _by_quarter(column, benchmark.lengths, unit=" characters")
    known = ", ".join(sorted({*benchmark.columns, LANGUAGE, LENGTH}))
    raise DataError(f"{benchmark.name} has no column '{column}' to group by; it has {known}")


def script(text: str) -> str:
    """The script that most letters of a text's beginning are written in."""
    letters = [letter for letter in text[:_LETTERS_READ] if letter.isalpha()]
    first_words = Counter(unicodedata.name(letter, _UNNAMED).partition(" ")[0] for letter in letters)
    if not first_words:
        return _NO_LETTERS
    word = first_words.most_common(1)[0][0]
    return _NAMES.get(word, word.title())


def _by_values(column: str, values: Sequence[str | float]) -> Grouping:
    kinds = Counter(values)
    if len(kinds) > _MOST_NUMBERS and not any(isinstance(value, str) for value in kinds):
        return _by_quarter(column, np.array(values, dtype=np.float64))
    if len(kinds) > MOST_GROUPS:
        raise DataError(
            f"column '{column}' has {len(kinds)} values and so makes no groups; name one of at most {MOST_GROUPS}"
        )
    ordered = sorted(kinds, key=lambda value: (-kinds[value], str(value)))
    index = {value: number for number, value in enumerate(ordered)}
    return Grouping(
        column=column,
        labels=tuple(str(value) for value in ordered),
        group=np.array([index[value] for value in values], dtype=np.int64),
    )


def _by_quarter(column: str, values: npt.NDArray[np.float64], *, unit: str = "") -> Grouping:
    inner = np.unique(np.quantile(values, np.linspace(0, 1, _BUCKETS + 1)[1:-1]))
    _, group = np.unique(np.searchsorted(inner, values, side="left"), return_inverse=True)
    parts = [values[group == number] for number in range(group.max() + 1)]
    return Grouping(
        column=column,
        labels=tuple(f"{part.min():,.6g} to {part.max():,.6g}{unit}" for part in parts),
        group=group.astype(np.int64),
    )
