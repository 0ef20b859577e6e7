"""Any data set of prompts and scores per model, one JSON object a line, as something to measure on.

Columns: `prompt`, `scores` {model: success in 0..1}; where there are any, `options` (choices, asked with the prompt)
and `cost` {model: US dollars of the call}. Whatever else a row has, it can be grouped by.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.benchmark import Benchmark, Costs
from steersman.classifier.json_lines import Line
from steersman.classifier.training_data import asked_in

PROMPT, SCORES, COST = "prompt", "scores", "cost"
COSTS_BASIS = "US dollars of each call, from the data"
_NO_GROUPS = frozenset({PROMPT, SCORES, COST, "options"})
_NO_VALUE = "(none)"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models, by the names that the data gives them."""

    strong: str
    weak: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """A row that both models have answered."""

    text: str
    strong: float
    weak: float
    line: Line


def read(path: Path, pair: Pair, *, name: str, text: str = PROMPT) -> tuple[Benchmark, str]:
    """Read a file, and tell its SHA-256 in hex.

    A prompt that comes again counts once, as it came first; a row that lacks a score of one of the models does not
    count. Notes say how many there were.

    Args:
        path: `*.jsonl` or `*.jsonl.gz`.
        pair: The models to choose between.
        name: What to call the result.
        text: The column that is routed.

    Raises:
        DataError: The file cannot be read, is empty or malformed, or does not know the models.
    """
    content = json_lines.read(path)
    lines = list(json_lines.parse(content, path))
    if not lines:
        raise DataError(f"{path} is empty; it should hold one JSON object a line")
    _check_models(pair, known={model for line in lines for model in _scores(line)}, path=path)
    answers = list(_answers(lines, pair, text))
    if not answers:
        raise DataError(f"no row of {path} has scores of both '{pair.strong}' and '{pair.weak}'")
    distinct: dict[str, _Answer] = {}
    for answer in answers:
        distinct.setdefault(answer.text, answer)
    kept = tuple(distinct.values())
    benchmark = Benchmark(
        name=name,
        prompts=tuple(answer.text for answer in kept),
        strong=np.array([answer.strong for answer in kept]),
        weak=np.array([answer.weak for answer in kept]),
        strong_model=pair.strong,
        weak_model=pair.weak,
        columns=dict(_columns([answer.line for answer in kept], leave_out=_NO_GROUPS | {text})),
        costs=_costs([answer.line for answer in kept], pair),
        notes=tuple(_notes(lines=len(lines), answers=len(answers), kept=len(kept))),
    )
    return benchmark, hashlib.sha256(content).hexdigest()


def _check_models(pair: Pair, *, known: Iterable[str], path: Path) -> None:
    if pair.strong == pair.weak:
        raise DataError(f"strong and weak are both '{pair.strong}'; name two models")
    models = sorted(known)
    for model in (pair.strong, pair.weak):
        if model not in models:
            near = difflib.get_close_matches(model, models, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "."
            raise DataError(f"{path} has no scores of '{model}'{hint} It has: {', '.join(models) or 'none'}")


def _answers(lines: Iterable[Line], pair: Pair, column: str) -> Iterator[_Answer]:
    for line in lines:
        text = asked_in(line, column)
        strong, weak = (_number(line, SCORES, model, most=1) for model in (pair.strong, pair.weak))
        if strong is not None and weak is not None:
            yield _Answer(text=text, strong=strong, weak=weak, line=line)


def _scores(line: Line) -> Mapping[str, Any]:
    scores = line.column(SCORES)
    if not isinstance(scores, dict):
        raise line.wrong(f"column '{SCORES}' should map models to numbers")
    return scores


def _number(line: Line, column: str, model: str, *, most: float = math.inf) -> float | None:
    """None where it is unknown."""
    value = line.row[column].get(model)
    return None if value is None else line.score(f"{column}.{model}", value, least=0, most=most)


def _costs(lines: Sequence[Line], pair: Pair) -> Costs | None:
    """Costs of the calls, unless one of them is unknown."""
    if not all(isinstance(line.row.get(COST), dict) for line in lines):
        return None
    strong, weak = ([_number(line, COST, model) for line in lines] for model in (pair.strong, pair.weak))
    if None in strong or None in weak:
        return None
    return Costs(
        strong=np.array(strong, dtype=np.float64), weak=np.array(weak, dtype=np.float64), basis=COSTS_BASIS
    )


def _columns(
    lines: Sequence[Line], *, leave_out: frozenset[str]
) -> Iterator[tuple[str, tuple[str | float, ...]]]:
    names = dict.fromkeys(name for line in lines for name in line.row if name not in leave_out)
    for name in names:
        yield name, tuple(_plain(line.row.get(name)) for line in lines)


def _plain(value: Any) -> str | float:
    if isinstance(value, int | float):
        return value
    # A lone surrogate, which JSON can hold, cannot be printed.
    return _NO_VALUE if value is None else str(value).encode(errors="replace").decode()


def _notes(*, lines: int, answers: int, kept: int) -> Iterator[str]:
    if unanswered := lines - answers:
        yield f"{unanswered} of {lines} rows lack a score of one of the two models and do not count"
    if repeated := answers - kept:
        yield f"{repeated} of {lines} rows repeat the prompt of another and do not count again"
