"""Queries and answers to label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fakes.chat import reply
from steersman.labelling.answering import Pair
from steersman.labelling.model import Answer, Query, Tier


def query(text: str = "How deep is the sea?", **columns: Any) -> Query:
    row = {"prompt": text, **columns}
    return Query(id=f"id of {text}", text=text, messages=[{"role": "user", "content": text}], row=row)


def pair(strong: str, weak: str, **columns: Any) -> Pair:
    asked = query(**columns)
    texts: dict[Tier, str] = {"strong": strong, "weak": weak}
    answers = {tier: Answer(asked.id, tier, f"the {tier}", reply(text)) for tier, text in texts.items()}
    return Pair(asked, answers)


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
