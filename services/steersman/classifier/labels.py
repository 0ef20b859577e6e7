"""Labels of the user's own traffic: which model answered a query better, or how well each did.

One JSON object a line, in a file that may be compressed with gzip. Each has a `prompt`, and either `winner`, which is
`strong`, `weak` or `tie`, or `scores`, which gives each model's success. Messages name lines and columns and never
tell a prompt.

Prompts near an evaluation prompt, or marked as such by `near_eval`, are left out, as training leaves them out: whoever
labels a benchmark and measures on it has measured nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line
from steersman.classifier.training_data import asked_in, is_near

FEWEST: Final = 20
"""Prompts without whose labels nothing is fitted."""

_GAIN_OF_WINNER: Final = {"strong": 1.0, "tie": 0.0, "weak": -1.0}


@dataclass(frozen=True, slots=True)
class Labels:
    """One entry a distinct prompt."""

    texts: tuple[str, ...]
    gains: npt.NDArray[np.float64]
    """Success of strong less success of weak, or 1, 0, -1 by who won; the mean over all labels of the prompt."""
    wins: npt.NDArray[np.float64]
    """Share of the prompt's labels by which strong is the better one."""
    rows: int
    """Labels that are used; more than texts where prompts come again."""
    sha256: str
    """Of the file, in hex."""
    left_out: int = 0
    """Labels in the file that are not used because they are near an evaluation prompt."""

    def draw(self, most: int, generator: np.random.Generator) -> Labels:
        """So many prompts at most, drawn at random, in the file's order."""
        drawn = np.sort(generator.permutation(len(self.texts))[:most])
        texts = tuple(self.texts[row] for row in drawn)
        return dataclasses.replace(self, texts=texts, gains=self.gains[drawn], wins=self.wins[drawn])


def read(path: Path, *, forbidden: frozenset[int], strong: str = "strong", weak: str = "weak") -> Labels:
    """Read a file of labels without those on prompts that are near an evaluation prompt.

    Args:
        path: `*.jsonl` or `*.jsonl.gz`.
        forbidden: `runs_of` the evaluation prompts; of none, all labels are taken.
        strong: Name of the strong model in `scores`.
        weak: Name of the weak one.

    Raises:
        DataError: It cannot be read, a row has no label, or the labels are too few or all the same.
    """
    content = json_lines.read(path)
    gains: defaultdict[str, list[float]] = defaultdict(list)
    near: set[str] = set()
    for line, gain in _labels(content, path, strong=strong, weak=weak):
        gains[line.row["prompt"]].append(gain)
        if forbidden and is_near(line.row, forbidden):
            near.add(line.row["prompt"])
    left_out = sum(len(gains.pop(prompt)) for prompt in near)
    _check(list(gains.values()), path, left_out=left_out)
    return Labels(
        texts=tuple(gains),
        gains=np.array([np.mean(each) for each in gains.values()]),
        wins=np.array([np.mean([gain > 0 for gain in each]) for each in gains.values()]),
        rows=sum(map(len, gains.values())),
        sha256=hashlib.sha256(content).hexdigest(),
        left_out=left_out,
    )


def _check(gains: list[list[float]], path: Path, *, left_out: int) -> None:
    if len(gains) < FEWEST:
        near = f"; {left_out} labels are left out, near an evaluation prompt" if left_out else ""
        raise DataError(f"{path} has labels of {len(gains)} prompts; at least {FEWEST} are needed{near}")
    if len({gain for each in gains for gain in each}) == 1:
        raise DataError(f"all labels in {path} say the same; nothing can be learnt from them")


def _labels(content: bytes, path: Path, *, strong: str, weak: str) -> Iterator[tuple[Line, float]]:
    for line in json_lines.parse(content, path):
        asked_in(line)
        yield line, _gain(line, strong=strong, weak=weak)


def _gain(line: Line, *, strong: str, weak: str) -> float:
    if "winner" in line.row:
        winner = line.row["winner"]
        if not isinstance(winner, str) or winner not in _GAIN_OF_WINNER:
            raise line.wrong("'winner' must be strong, weak or tie")
        return _GAIN_OF_WINNER[winner]
    if not isinstance(line.row.get("scores"), dict):
        raise line.wrong("neither 'winner' nor 'scores'")
    return _score(line, strong) - _score(line, weak)


def _score(line: Line, model: str) -> float:
    scores = line.row["scores"]
    if model not in scores:
        raise line.wrong(f"no score of '{model}'; there are {', '.join(sorted(scores)) or 'none'}")
    return line.score(f"scores.{model}", scores[model])
