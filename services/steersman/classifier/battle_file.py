"""Pairwise battles in RouteLLM's format, from a file of the user's own.

One JSON object a line (plain or gzip) or CSV, with the columns `prompt`, `model_a`, `model_b` and `winner`, which is
`model_a`, `model_b` or `tie`. In Chatbot Arena's files a prompt is the JSON list of a conversation's turns, of which
the first is read, and `winner` may be `tie (bothbad)` or three columns `winner_model_a`, `winner_model_b`,
`winner_tie`. Rows with `near_eval` are left out, as training leaves them out.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.classifier.training_data import Examples, Source, is_apart

FEWEST: Final = 20
"""Battles of a strong with a weak model without which nothing is learnt."""

_COLUMNS: Final = ("prompt", "model_a", "model_b")
_MARKED: Final = ("true", "1")
"""What `near_eval` is, in JSON and in CSV."""
_WON: Final = {"model_a": 1.0, "a": 1.0, "model_b": 0.0, "b": 0.0}


@dataclass(frozen=True, slots=True)
class BattleFile:
    """Which file, and which of its models stand for the tiers."""

    path: Path
    strong: tuple[str, ...]
    weak: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Battle:
    prompt: str
    first: str
    second: str
    won: float
    near: bool
    """The row says of itself that it is near an evaluation prompt."""


def read(file: BattleFile, *, forbidden: frozenset[int]) -> Examples:
    """Read battles without those on prompts that are near an evaluation prompt.

    Args:
        file: What to read.
        forbidden: `runs_of` the evaluation prompts.

    Raises:
        DataError: It cannot be read, a row is malformed, or too few battles tell strong from weak.
    """
    content = json_lines.read(file.path)
    found = [_battle(row, where) for row, where in _rows(content, file.path)]
    battles = [battle for battle in found if not battle.near and is_apart(battle.prompt, forbidden)]
    models = tuple(sorted({name for battle in battles for name in (battle.first, battle.second)}))
    _check(battles, models, file)
    source = Source(
        folder=file.path.name,
        licence="the user's own",
        reference_share=1.0,
        strong=file.strong,
        weak=file.weak,
    )
    gains = np.array([_gain(battle, file) for battle in battles])
    return Examples(
        source=source,
        texts=tuple(battle.prompt for battle in battles),
        gains=gains,
        wins=(gains + 1) / 2,
        group=np.full(len(battles), source.folder),
        models=models,
        outcomes=_outcomes(battles, models),
        sha256=hashlib.sha256(content).hexdigest(),
        left_out=len(found) - len(battles),
    )


def _check(battles: Sequence[_Battle], models: Sequence[str], file: BattleFile) -> None:
    if unknown := [name for name in (*file.strong, *file.weak) if name not in models]:
        told = ", ".join(models[:20]) or "none"
        raise DataError(f"{file.path} has no battle of '{unknown[0]}' that can be used; models are: {told}")
    decided = {_gain(battle, file) for battle in battles} - {0.0}
    across = sum(not np.isnan(_gain(battle, file)) for battle in battles)
    if across < FEWEST:
        raise DataError(
            f"{file.path} has {across} battles of a strong with a weak model; at least {FEWEST} are needed"
        )
    if not {gain for gain in decided if not np.isnan(gain)}:
        raise DataError(f"all battles of strong and weak in {file.path} are ties; nothing can be learnt")


def _gain(battle: _Battle, file: BattleFile) -> float:
    """1 where strong won, -1 where weak did, 0 for a tie, NaN for a battle within a tier or of others."""
    if battle.first in file.strong and battle.second in file.weak:
        return 2 * battle.won - 1
    if battle.first in file.weak and battle.second in file.strong:
        return 1 - 2 * battle.won
    return float("nan")


def _outcomes(battles: Sequence[_Battle], models: Sequence[str]) -> Any:
    column = {name: index for index, name in enumerate(models)}
    outcomes = np.full((len(battles), len(models)), np.nan)
    for row, battle in enumerate(battles):
        outcomes[row, column[battle.first]] = battle.won
        outcomes[row, column[battle.second]] = 1 - battle.won
    return outcomes


def _rows(content: bytes, path: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each row, and where it stands."""
    if path.suffix != ".csv":
        for line in json_lines.parse(content, path):
            yield line.row, f"{path}, line {line.number}"
        return
    csv.field_size_limit(sys.maxsize)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text") from error
    for number, row in enumerate(csv.DictReader(io.StringIO(text, newline="")), start=1):
        yield row, f"{path}, row {number}"


def _battle(row: Mapping[str, Any], where: str) -> _Battle:
    for column in _COLUMNS:
        if not isinstance(row.get(column), str) or not row[column]:
            raise DataError(f"{where}: no column '{column}' with a text")
    if row["model_a"] == row["model_b"]:
        raise DataError(f"{where}: a model in a battle with itself")
    return _Battle(
        _first_turn(row["prompt"]),
        row["model_a"],
        row["model_b"],
        _won(row, where),
        near=str(row.get("near_eval")).lower() in _MARKED,
    )


def _won(row: Mapping[str, Any], where: str) -> float:
    winner = row.get("winner")
    if winner is None:
        flagged = [name for name in ("model_a", "model_b", "tie") if str(row.get(f"winner_{name}")) == "1"]
        winner = flagged[0] if len(flagged) == 1 else None
    if isinstance(winner, str) and winner.startswith("tie"):
        return 0.5
    if not isinstance(winner, str) or winner not in _WON:
        raise DataError(f"{where}: 'winner' must be model_a, model_b or tie")
    return _WON[winner]


def _first_turn(prompt: str) -> str:
    if prompt.startswith("["):
        with suppress(
            ValueError, RecursionError
        ):  # no JSON, or a number or a nesting that Python does not read
            turns = json.loads(prompt)
            if turns and isinstance(turns[0], str):
                return turns[0]
    return prompt
