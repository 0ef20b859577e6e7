"""The user's queries: what is sent to a model, what a classifier sees, and the line that they came from.

A line has `messages` as a chat request has them, or a `prompt`, with its `options` where it is a multiple-choice
question. All other columns are kept, so that a reference answer or a group is at hand later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import orjson

from steersman.calibration import prompts
from steersman.classifier import json_lines
from steersman.classifier.json_lines import Line
from steersman.labelling.model import Query
from steersman.openai_api import body
from steersman.runtime.errors import InvalidRequest

_ID_CHARACTERS: Final = 16


def read(paths: Iterable[Path]) -> tuple[Query, ...]:
    """Read distinct queries, each as it came first.

    Raises:
        DataError: A file or a line cannot be read.
    """
    found: dict[str, Query] = {}
    for line in json_lines.stream(paths):
        query = _query(line)
        found.setdefault(query.id, query)
    return tuple(found.values())


def _query(line: Line) -> Query:
    turns = prompts.turns_of(line)
    if not any(text.strip() for _, text in turns):
        raise line.wrong("nothing in it but white space")
    messages = line.row.get("messages") or [{"role": role, "content": text} for role, text in turns]
    try:
        body.of_data({"messages": messages}, max_messages=len(messages))
        canonical = orjson.dumps(messages, option=orjson.OPT_SORT_KEYS)
        orjson.dumps(line.row)
    except orjson.JSONEncodeError as error:
        raise line.wrong(f"cannot be sent as JSON: {error}") from None
    except InvalidRequest as error:
        raise line.wrong(error.message) from None
    identity = hashlib.sha256(canonical).hexdigest()[:_ID_CHARACTERS]
    return Query(identity, prompts.text_of(turns), messages, line.row)
