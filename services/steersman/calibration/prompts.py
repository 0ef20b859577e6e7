"""Prompts of the user's own, as the router would score them, with the qualities of two models' answers where known.

A line has `messages` as a chat request has them, or a `prompt`, with its `options` where it is a multiple-choice
question. `scores` holds the quality of each model's answer by the model's name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steersman.classifier import json_lines, training_data
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.bootstrap import Floats
from steersman.classifier.json_lines import Line
from steersman.openai_api import body
from steersman.router.normalise import Limits, routed_text
from steersman.runtime.errors import InvalidRequest

_MOST_MESSAGES = 2048
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Models:
    """The two models whose answers are compared, by their names in the data."""

    strong: str
    weak: str


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts, and what is known about answers to them."""

    texts: tuple[str, ...]
    gains: Floats
    """Quality of the strong answer less that of the weak one; empty where no models were named."""
    left_out: int
    """Lines in which one of the two models has no score."""


def read(paths: Iterable[Path], models: Models | None = None) -> Prompts:
    """Read prompts, and the gains between two models where they are named.

    Raises:
        DataError: A file or a line cannot be read, there is no prompt, or none with scores of both models.
    """
    paths, texts, gains, known, left_out = tuple(paths), [], [], Counter[str](), 0
    for line in json_lines.stream(paths):
        if models is None:
            texts.append(text_of(turns_of(line)))
            continue
        gain = _gain(line, models, known)
        if gain is None:
            left_out += 1
            continue
        texts.append(text_of(turns_of(line)))
        gains.append(gain)
    if not texts:
        raise DataError(f"{', '.join(map(str, paths))}: {_lacking(models, known)}")
    return Prompts(tuple(texts), np.array(gains), left_out)


def turns_of(line: Line) -> list[body.Turn]:
    """The messages of a line, or its prompt as the only one.

    Raises:
        DataError: It has neither, or none that a chat request could have.
    """
    return list(_turns(line))


def text_of(turns: Sequence[body.Turn]) -> str:
    """What a classifier sees of messages."""
    return routed_text(turns, Limits()).text


def _turns(line: Line) -> Iterator[body.Turn]:
    fields = dict(line.row)
    if "messages" in fields:
        try:
            yield from body.of_data(fields, max_messages=_MOST_MESSAGES).turns
        except InvalidRequest as error:
            raise line.wrong(error.message) from error
    elif not isinstance(fields.get("prompt"), str):
        raise line.wrong("neither 'messages' nor a 'prompt' that is text")
    else:
        yield "user", training_data.asked_in(line)


def _gain(line: Line, models: Models, known: Counter[str]) -> float | None:
    scores: Any = line.row.get("scores")
    if not isinstance(scores, dict):
        raise line.wrong("no column 'scores' with the quality of each model's answer")
    known.update(scores.keys())
    strong, weak = (
        math.nan if scores.get(name) is None else line.checked(f"scores.{name}", scores[name])
        for name in (models.strong, models.weak)
    )
    gain = strong - weak
    return None if math.isnan(gain) else gain


def _lacking(models: Models | None, known: Counter[str]) -> str:
    if models is None or not known:
        return "no prompt in it"
    names = ", ".join(name for name, _ in known.most_common(_MOST_NAMED))
    return (
        f"no line has scores of both {models.strong} and {models.weak}; the most frequent models are {names}"
    )
