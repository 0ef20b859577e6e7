"""MMLU-Pro's published answers as rows: an archive a model, with the letter that was right and the one it chose.

An archive holds one list of answers, or lists by category; summaries beside them are left alone. The
text of a question is that of the first archive that has it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from steersman.classifier.errors import DataError

Row = dict[str, Any]

_FROM_MMLU: Final = "ori_mmlu-"
"""Origin of the questions that RouteLLM's evaluation set holds as well."""

_MOST_BYTES: Final = 256_000_000
"""Of an unpacked file; the archives, below 4.2 MB, hold some 30 MB."""


def rows(downloads: Mapping[str, bytes]) -> tuple[list[Row], ...]:
    """The questions that may be trained on, and those that come from MMLU.

    Raises:
        DataError: An archive is damaged.
        KeyError: An answer lacks a column.
        ValueError: An archive is otherwise not of the known form.
    """
    found: dict[int, Row] = {}
    for path, content in downloads.items():
        model = PurePosixPath(path).stem.removeprefix("model_outputs_").removesuffix("_5shots")
        for answer in _answers(content, path):
            row = found.setdefault(answer["question_id"], _row(answer))
            row["source"] = row["source"] or answer.get("src")
            row["scores"][model] = int(answer["pred"] == answer["answer"])
    if homeless := [row["id"] for row in found.values() if not row["source"]]:
        raise DataError(f"no archive says where {homeless[0]} comes from")
    from_mmlu = [row for row in found.values() if row["source"].startswith(_FROM_MMLU)]
    others = [row for row in found.values() if not row["source"].startswith(_FROM_MMLU)]
    return others, from_mmlu


def _row(answer: Mapping[str, Any]) -> Row:
    return {
        "id": f"mmlu_pro/{answer['question_id']}",
        "prompt": answer["question"],
        "options": [option for option in answer["options"] if option != "N/A"],
        "answer": answer["answer"],
        "category": answer["category"],
        "source": answer.get("src"),
        "scores": {},
    }


def _answers(content: bytes, path: str) -> Iterator[Mapping[str, Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if _holds_answers(member.filename):
                    yield from _listed(json.loads(_unpacked(archive, member, path)))
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is no whole zip archive") from error


def _holds_answers(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix == ".json" and "summary" not in path.name and not path.parts[0].startswith("__")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str) -> bytes:
    with archive.open(member) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise DataError(f"{path} unpacks to more than {_MOST_BYTES:,} bytes")
    return content


def _listed(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, dict):
        for answers in document.values():
            yield from answers if isinstance(answers, list) else ()
    else:
        yield from document
