"""The folder that labelling works in: what was chosen, answered and judged, and the labels that come of it.

    queries.jsonl    the chosen lines, as they came
    answers.jsonl    a row for each answer of a tier            grows
    verdicts.jsonl   a row for each reply of the judge          grows
    checks.jsonl     what a reference says of the answers
    labels.jsonl     for `train --adapt`, `evaluate`, `calibrate`
    battles.jsonl    for `train mf` and `train sw_ranking`

The last three are written anew from what the others hold, so that no step can leave them half done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import orjson

from steersman.classifier import json_lines, whole_files
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line
from steersman.labelling import queries
from steersman.labelling.journal import Journal
from steersman.labelling.model import TIERS, Answer, Query, Reply, Row, Tier, Verdict, Winner

_PRIVATE: Final = 0o700
"""Queries and answers are somebody's text."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One set of labels in the making."""

    path: Path

    @property
    def labels(self) -> Path:
        """Where the labels are written."""
        return self.path / "labels.jsonl"

    @property
    def battles(self) -> Path:
        """Where the same are written as battles."""
        return self.path / "battles.jsonl"

    def chosen(self) -> tuple[Query, ...]:
        """The queries so far; none where nothing was chosen yet.

        Raises:
            DataError: They cannot be read.
        """
        return queries.read([self._queries]) if self._queries.exists() else ()

    def queries(self) -> tuple[Query, ...]:
        """The queries, of which there must be some.

        Raises:
            DataError: There are none, or they cannot be read.
        """
        if not (found := self.chosen()):
            raise DataError(f"{self.path} has no queries; `steersman label sample` chooses some")
        return found

    def choose(self, added: Sequence[Query]) -> None:
        """Add queries.

        Raises:
            DataError: They cannot be written.
        """
        _make(self.path)
        _write_rows({self._queries: [query.row for query in (*self.chosen(), *added)]})

    def answers(self) -> list[Answer]:
        """What the tiers have answered so far.

        Raises:
            DataError: A row cannot be read.
        """
        return [_answer(line) for line in _rows(self._answers)]

    def verdicts(self) -> list[Verdict]:
        """What the judge has said so far.

        Raises:
            DataError: A row cannot be read.
        """
        return [_verdict(line) for line in _rows(self._verdicts)]

    def checks(self) -> dict[str, dict[Tier, float]]:
        """Scores of both tiers by query, as far as a reference told them.

        Raises:
            DataError: A row cannot be read.
        """
        return {
            line.text("query"): {tier: line.number_of(tier, least=0, most=1) for tier in TIERS}
            for line in _rows(self._checks)
        }

    def write_checks(self, scores: Mapping[str, Mapping[Tier, float]]) -> None:
        """Put these in place of what there was.

        Raises:
            DataError: They cannot be written.
        """
        _write_rows({self._checks: [{"query": query, **each} for query, each in scores.items()]})

    def open_answers(self) -> Journal:
        """To add to the answers by `row_of`."""
        return Journal(self._answers)

    def open_verdicts(self) -> Journal:
        """To add to the verdicts by `row_of`."""
        return Journal(self._verdicts)

    def write_labels(self, *, labels: Iterable[Row], battles: Iterable[Row]) -> None:
        """Put both files of labels in place of what they were.

        Raises:
            DataError: They cannot be written.
        """
        _write_rows({self.labels: labels, self.battles: battles})

    @property
    def _queries(self) -> Path:
        return self.path / "queries.jsonl"

    @property
    def _answers(self) -> Path:
        return self.path / "answers.jsonl"

    @property
    def _checks(self) -> Path:
        return self.path / "checks.jsonl"

    @property
    def _verdicts(self) -> Path:
        return self.path / "verdicts.jsonl"


def row_of(kept: Answer | Verdict) -> Row:
    """What is written of an answer or a verdict: its own fields, and beside them those of the reply."""
    return {
        **{
            field.name: getattr(kept, field.name)
            for field in dataclasses.fields(kept)
            if field.name != "reply"
        },
        **dataclasses.asdict(kept.reply),
    }


def _rows(path: Path) -> Iterable[Line]:
    return json_lines.stream([path]) if path.exists() else ()


def _answer(line: Line) -> Answer:
    return Answer(
        query=line.text("query"),
        tier=_one_of(line, "tier", Tier),
        model=line.text("model"),
        reply=_reply(line),
    )


def _verdict(line: Line) -> Verdict:
    return Verdict(
        query=line.text("query"),
        first=_one_of(line, "first", Tier),
        winner=None if line.column("winner") is None else _one_of(line, "winner", Winner),
        judge=line.text("judge"),
        reply=_reply(line),
    )


def _reply(line: Line) -> Reply:
    return Reply(
        text=line.text("text"),
        finish_reason=line.text("finish_reason"),
        prompt_tokens=int(line.number_of("prompt_tokens", least=0)),
        completion_tokens=int(line.number_of("completion_tokens", least=0)),
        metered=bool(line.column("metered")),
        usd=line.number_of("usd", least=0),
    )


def _one_of(line: Line, name: str, names: Any) -> Any:
    value = line.text(name)
    if value not in get_args(names):
        raise line.wrong(f"'{name}' must be one of {', '.join(get_args(names))}")
    return value


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make {path}: {error.strerror}") from error


def _write_rows(files: dict[Path, Iterable[Any]]) -> None:
    content = {path: b"".join(map(_line, rows)) for path, rows in files.items()}
    try:
        whole_files.replace_all(content)
    except OSError as error:
        raise DataError(f"cannot write {error.filename}: {error.strerror}") from error


def _line(row: Row) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
