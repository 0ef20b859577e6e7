"""How what is published becomes the rows that the product reads: `id`, `prompt`, `source`, `scores` {model: 0..1}.

Only where the published form says by itself how. A function takes the downloads of a data set by their paths and gives
the rows of each of its outputs, in the registry's order. Marks of rows near an evaluation prompt are not made here:
training compares the words of every row with the evaluation files itself.
"""

from __future__ import annotations

import ast
import csv
import gzip
import io
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from steersman.classifier import json_lines
from steersman.classifier.datasets import mmlu_pro
from steersman.classifier.datasets.registry import VERBATIM, DataSet
from steersman.classifier.errors import DataError

Downloads = Mapping[str, bytes]
"""What was downloaded, by path."""

Row = dict[str, Any]
"""Something that becomes one JSON line."""

_HIGHEST_RATING: Final = 10

_MALFORMED: Final = (
    ValueError,  # not JSON, not UTF-8, no number
    TypeError,
    AttributeError,
    IndexError,
    SyntaxError,
    RuntimeError,  # nested too deeply, or an archive with a password
    MemoryError,  # what `literal_eval` says of a text that is too deep
    csv.Error,
    zlib.error,
)
"""What reading comes to on something else than was expected."""


def outputs(data_set: DataSet, downloads: Downloads) -> dict[str, bytes]:
    """The files of a data set by their paths in the data folder.

    Raises:
        DataError: A download is not of the form that is known.
    """
    if data_set.form == VERBATIM:
        return {f"{data_set.name}/{path}": content for path, content in downloads.items()}
    try:
        parts = FORMS[data_set.form](downloads)
    except KeyError as error:
        raise _other_form(data_set, f"no column {error}") from error
    except _MALFORMED as error:
        # Its message may quote a row.
        raise _other_form(data_set, type(error).__name__) from error
    if not all(parts):
        raise _other_form(data_set, "no rows")
    return {output.path: _packed(rows) for output, rows in zip(data_set.outputs, parts, strict=True)}


def _other_form(data_set: DataSet, why: str) -> DataError:
    return DataError(
        f"{data_set.name} was downloaded and is not of the form that is known ({why}); nothing was written"
    )


def _packed(rows: list[Row]) -> bytes:
    lines = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    # A lone surrogate, which JSON can hold, is no UTF-8. Without a time, so that the same rows are the same bytes.
    return gzip.compress(lines.encode(errors="replace"), mtime=0)


def _gsm8k(downloads: Downloads) -> tuple[list[Row], ...]:
    """A step of a solution is a calculation in double angle brackets."""
    (lines,) = (_json_lines(path, content) for path, content in downloads.items())
    rows = [
        {
            "id": f"gsm8k_train/{number}",
            "prompt": row["question"],
            "solution": row["answer"],
            "steps": row["answer"].count("<<"),
        }
        for number, row in enumerate(lines)
    ]
    return (rows,)


def _arena_bench(downloads: Downloads) -> tuple[list[Row], ...]:
    """GPT-4's ratings from 1 to 10, over 10; their mean where an answer was rated more than once."""
    ratings: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    questions: list[Row] = []
    for path, content in downloads.items():
        if path.endswith("/question.jsonl"):
            questions += _json_lines(path, content)
            continue
        for row in _json_lines(path, content):
            # Below 1 stands for a judgement without a rating.
            if row["score"] >= 1:
                ratings[row["question_id"]][_bare(row["model"])].append(row["score"])
    rows = [
        {
            "id": f"arena-bench/{question['question_id']}",
            "prompt": question["turns"][0],
            "source": "arena-bench-v1",
            "scores": _mean_ratings(ratings[question["question_id"]]),
        }
        for question in questions
        if question["question_id"] in ratings
    ]
    return (rows,)


def _mean_ratings(ratings: Mapping[str, list[float]]) -> dict[str, float]:
    return {
        model: round(sum(rated) / len(rated) / _HIGHEST_RATING, 4) for model, rated in sorted(ratings.items())
    }


def _routerdc(downloads: Downloads) -> tuple[list[Row], ...]:
    """A list of questions a file, each with the scores of the models."""
    rows = [
        {
            "id": f"routerdc/{PurePosixPath(path).stem}/{number}",
            "prompt": entry["question"],
            "source": PurePosixPath(path).stem,
            "scores": {_bare(model): float(score) for model, score in entry["scores"].items()},
        }
        for path, content in downloads.items()
        for number, entry in enumerate(json.loads(content))
    ]
    return (rows,)


def _routerbench(downloads: Downloads) -> tuple[list[Row], ...]:
    """A table a file: a column of scores a model, and one of the costs of its calls."""
    rows = [_routerbench_row(row, path) for path, content in downloads.items() for row in _table(content)]
    return (rows,)


def _routerbench_row(row: Mapping[str, str], path: str) -> Row:
    cost_of = "|total_cost"
    models = sorted(column.removesuffix(cost_of) for column in row if column.endswith(cost_of))
    (prompt,) = ast.literal_eval(row["prompt"])
    return {
        "id": f"routerbench/{row['sample_id']}",
        "prompt": prompt,
        "source": row["eval_name"].replace("-", "_"),
        "split_routerdc": PurePosixPath(path).stem.rpartition("_")[2],
        "scores": {model: float(row[model]) for model in models},
        "cost": {model: float(row[model + cost_of]) for model in models},
    }


def _table(content: bytes) -> Iterator[Mapping[str, str]]:
    # Answers may be longer than the reader's default allows.
    csv.field_size_limit(max(csv.field_size_limit(), len(content)))
    yield from csv.DictReader(io.StringIO(content.decode(), newline=""))


def _json_lines(path: str, content: bytes) -> list[Row]:
    return [line.row for line in json_lines.parse(content, Path(path))]


def _bare(model: str) -> str:
    """The name of a model without that of its makers."""
    return model.rpartition("/")[2]


FORMS: Final[Mapping[str, Callable[[Downloads], tuple[list[Row], ...]]]] = {
    "gsm8k": _gsm8k,
    "arena_bench": _arena_bench,
    "mmlu_pro": mmlu_pro.rows,
    "routerdc": _routerdc,
    "routerbench": _routerbench,
}
