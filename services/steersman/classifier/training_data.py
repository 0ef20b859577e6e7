"""Which rows a head is trained on, and the guard that keeps evaluation out of them.

Only the folders of `training_sources.toml` are read. A row goes when it says of itself that it is near an evaluation
prompt, or when it shares a run of ten words with one: benchmarks leak into each other word for word.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from steersman.classifier import json_lines
from steersman.classifier.datasets import registry
from steersman.classifier.errors import DataError

RUN_WORDS = 10
"""Words in a row that make two prompts near."""

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
    gains: npt.NDArray[np.float64]
    """Success of strong less success of weak, or the difficulty; in the source's own units."""
    wins: npt.NDArray[np.float64]
    """Share of the pairs of a strong and a weak model that the strong one wins; NaN where no model answered."""
    group: npt.NDArray[np.str_]
    """Finer origin of each row, for validation."""
    models: tuple[str, ...]
    """Those that have answered some of the rows."""
    outcomes: npt.NDArray[np.float64]
    """Success of each model on each row, shape `(rows, models)`; NaN where it has not answered."""
    sha256: str
    """Of the file as it was read."""
    left_out: int
    """Rows not used because they are near an evaluation prompt or have no label."""

    def side_of(self, model: str) -> int:
        """1 for a model that stands for strong, -1 for weak, 0 for any other."""
        return int(model in self.source.strong) - int(model in self.source.weak)


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
    rows = [_prompted(line) for line in json_lines.parse(content, path)]
    if not rows:
        raise DataError(f"{path} has no rows")
    allowed = [row for row in rows if not row.get("near_eval") and is_apart(row["prompt"], forbidden)]
    labelled = [(row, gain, win) for row in allowed for gain, win in _labels(row, source)]
    if not labelled:
        raise DataError(
            f"no row of {path} can be used: all are near evaluation prompts or lack the models' scores"
        )
    models = source.strong + source.weak
    return Examples(
        source=source,
        texts=tuple(text_of(row) for row, _, _ in labelled),
        gains=np.array([gain for _, gain, _ in labelled]),
        wins=np.array([win for _, _, win in labelled]),
        group=np.array([str(row.get("source") or source.folder) for row, _, _ in labelled]),
        models=models,
        outcomes=_outcomes([row for row, _, _ in labelled], models),
        sha256=hashlib.sha256(content).hexdigest(),
        left_out=len(rows) - len(labelled),
    )


def text_of(row: Row) -> str:
    """The prompt as a model would be asked it: a multiple-choice question with its choices."""
    options = row.get("options")
    if not options:
        return str(row["prompt"])
    lettered = (f"{chr(ord('A') + index)}. {option}" for index, option in enumerate(options))
    return "\n".join((row["prompt"], *lettered, "Answer:"))


def _labels(row: Row, source: Source) -> Iterator[tuple[float, float]]:
    """The gain and the share of won pairs, or nothing where a side has no score."""
    if source.difficulty is not None:
        yield float(_column(row, source.difficulty, source)), float("nan")
        return
    scores: Mapping[str, float | None] = _column(row, "scores", source)
    strong, weak = _present(scores, source.strong), _present(scores, source.weak)
    if strong.size and weak.size:
        yield float(strong.mean() - weak.mean()), float((strong[:, None] > weak).mean())


def _outcomes(rows: Sequence[Row], models: Sequence[str]) -> npt.NDArray[np.float64]:
    """Success of each model on each row; None becomes NaN."""
    return np.array(
        [[row["scores"].get(model) for model in models] for row in rows if models], dtype=np.float64
    ).reshape(len(rows), len(models))


def _present(scores: Mapping[str, float | None], models: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return np.array([score for model in models if (score := scores.get(model)) is not None], dtype=np.float64)


def _column(row: Row, name: str, source: Source) -> Any:
    try:
        return row[name]
    except KeyError as error:
        raise DataError(f"a row of {source.folder} has no column '{name}'") from error


def _runs(prompt: str) -> Iterator[int]:
    words = prompt.lower().split()
    for start in range(max(len(words) - RUN_WORDS, 0) + 1):
        yield hash(tuple(words[start : start + RUN_WORDS]))


def _prompted(line: json_lines.Line) -> Row:
    if not isinstance(line.column("prompt"), str):
        raise line.wrong("column 'prompt' should be a text")
    return line.row


def _only_file(folder: Path) -> Path:
    files = sorted(folder.glob("*.jsonl.gz"))
    if not files:
        raise DataError(
            f"{folder} should hold one *.jsonl.gz file and holds none; {registry.how_to_get(folder)}"
        )
    if len(files) > 1:
        raise DataError(f"{folder} should hold one *.jsonl.gz file and holds {len(files)}")
    return files[0]
