"""Which rows a head is trained on, and the guard that keeps evaluation out of them.

Only the folders of `training_sources.toml` are read. A row goes when it says of itself that it is near an evaluation
prompt, or when it shares a run of ten words with one: benchmarks leak into each other word for word. A text of fewer
words is near where it is the whole of an evaluation prompt, or of one's question without its choices.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from steersman.classifier import json_lines
from steersman.classifier.datasets import registry
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line

RUN_WORDS = 10
"""Words in a row that make two prompts near."""

Floats = npt.NDArray[np.float64]

Row = dict[str, Any]
"""One parsed JSON line."""


@dataclass(frozen=True, slots=True)
class Source:
    """One folder of training rows, as `training_sources.toml` describes it."""

    folder: str
    licence: str
    reference_share: float
    """Part of the reference traffic, in [0, 1]."""
    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    difficulty: str | None = None
    """Column that stands for the gain where no model has answered."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The usable rows of one source."""

    source: Source
    texts: tuple[str, ...]
    gains: Floats
    """Success of strong less success of weak, or the difficulty; in the source's own units."""
    wins: Floats
    """Share of the pairs of a strong and a weak model that the strong one wins; NaN where no model answered."""
    group: npt.NDArray[np.str_]
    """Finer origin of each row, for validation."""
    models: tuple[str, ...]
    """Those that have answered some of the rows."""
    outcomes: Floats
    """Success of each model on each row, shape `(rows, models)`; NaN where it has not answered."""
    sha256: str
    """Of the file as it was read."""
    left_out: int
    """Rows not used because they are near an evaluation prompt or have no label."""

    def side_of(self, model: str) -> int:
        """1 for a model that stands for strong, -1 for weak, 0 for any other."""
        return int(model in self.source.strong) - int(model in self.source.weak)


@dataclass(frozen=True, slots=True)
class _Label:
    """What one row says; as in `Examples`."""

    gain: float
    win: float
    outcomes: Floats


def sources() -> tuple[Source, ...]:
    """What may be trained on."""
    text = (
        resources.files("steersman.classifier").joinpath("training_sources.toml").read_text(encoding="utf-8")
    )
    return tuple(
        Source(
            folder=entry["folder"],
            licence=entry["licence"],
            reference_share=entry["reference_share"],
            strong=tuple(entry.get("strong", ())),
            weak=tuple(entry.get("weak", ())),
            difficulty=entry.get("difficulty"),
        )
        for entry in tomllib.loads(text)["source"]
    )


def without_home(data: Path) -> tuple[Source, ...]:
    """The sources that a data folder lacks and may lack, because they cannot be fetched from anywhere."""
    return tuple(
        source
        for source in sources()
        if not (data / source.folder).exists() and not registry.can_be_fetched(source.folder)
    )


def runs_of(prompts: Iterable[str]) -> frozenset[int]:
    """Fingerprints of every run of `RUN_WORDS` words; a shorter prompt is one run."""
    return frozenset(run for prompt in prompts for run in _runs(prompt))


def is_apart(prompt: str, forbidden: frozenset[int]) -> bool:
    """Whether a prompt shares no run of words with those whose `runs_of` these are."""
    return forbidden.isdisjoint(_runs(prompt))


def is_near(row: Row, forbidden: frozenset[int]) -> bool:
    """Whether a row is marked as near an evaluation prompt, or is so by itself, alone or with its choices."""
    texts = {row["prompt"], text_of(row)}
    return bool(row.get("near_eval")) or not all(is_apart(text, forbidden) for text in texts)


def read(folder: Path, source: Source, *, forbidden: frozenset[int]) -> Examples:
    """Read a source without the rows that are near an evaluation prompt.

    Args:
        folder: Directory that holds one `*.jsonl.gz`.
        source: What it holds.
        forbidden: `runs_of` the evaluation prompts.

    Raises:
        DataError: The file is missing, empty or malformed, or lacks a column or a model.
    """
    path = _only_file(folder)
    content = json_lines.read(path)
    lines = list(json_lines.parse(content, path))
    if not lines:
        raise DataError(f"{path} has no rows")
    asked = [(line, asked_in(line)) for line in lines]
    allowed = [(line, text) for line, text in asked if not is_near(line.row, forbidden)]
    labelled = [(line, text, label) for line, text in allowed if (label := _label(line, source))]
    if not labelled:
        raise DataError(
            f"no row of {path} can be used: all are near evaluation prompts or lack the models' scores"
        )
    models = source.strong + source.weak
    return Examples(
        source=source,
        texts=tuple(text for _, text, _ in labelled),
        gains=np.array([label.gain for _, _, label in labelled]),
        wins=np.array([label.win for _, _, label in labelled]),
        group=np.array([str(line.row.get("source") or source.folder) for line, _, _ in labelled]),
        models=models,
        outcomes=np.array([label.outcomes for _, _, label in labelled]),
        sha256=hashlib.sha256(content).hexdigest(),
        left_out=len(lines) - len(labelled),
    )


def text_of(row: Row) -> str:
    """The prompt as a model would be asked it: a multiple-choice question with its choices."""
    options = row.get("options")
    if not options:
        return str(row["prompt"])
    lettered = (f"{chr(ord('A') + index)}. {option}" for index, option in enumerate(options))
    return "\n".join((row["prompt"], *lettered, "Answer:"))


def asked_in(line: Line, column: str = "prompt") -> str:
    """As `text_of`, of a row that may be malformed.

    Raises:
        DataError: The prompt is no text, or the choices are no list.
    """
    prompt, options = line.column(column), line.row.get("options")
    if not isinstance(prompt, str):
        raise line.wrong(f"column '{column}' should be a text")
    if not isinstance(options, list | None):
        raise line.wrong("'options' is no list")
    return text_of({"prompt": prompt, "options": options})


def _label(line: Line, source: Source) -> _Label | None:
    """None where a side has no score."""
    if source.difficulty is not None:
        return _Label(line.number_of(source.difficulty), float("nan"), np.zeros(0))
    outcomes = _outcomes(line, source.strong + source.weak)
    strong, weak = (side[~np.isnan(side)] for side in np.split(outcomes, [len(source.strong)]))
    if not strong.size or not weak.size:
        return None
    return _Label(float(strong.mean() - weak.mean()), float((strong[:, None] > weak).mean()), outcomes)


def _outcomes(line: Line, models: Sequence[str]) -> Floats:
    """Success of each model on a row; NaN where it has not answered."""
    scores = line.column("scores")
    if not isinstance(scores, dict):
        raise line.wrong("column 'scores' should map models to numbers")
    told = ((model, scores.get(model)) for model in models)
    return np.array(
        [float("nan") if score is None else line.score(f"scores.{model}", score) for model, score in told]
    )


def _runs(prompt: str) -> Iterator[int]:
    words = prompt.lower().split()
    for start in range(max(len(words) - RUN_WORDS, 0) + 1):
        yield hash(tuple(words[start : start + RUN_WORDS]))


def _only_file(folder: Path) -> Path:
    files = sorted(folder.glob("*.jsonl.gz"))
    if not files:
        raise DataError(
            f"{folder} should hold one *.jsonl.gz file and holds none; {registry.how_to_get(folder)}"
        )
    if len(files) > 1:
        raise DataError(f"{folder} should hold one *.jsonl.gz file and holds {len(files)}")
    return files[0]
