"""RouteLLM's public evaluation files: MT Bench, MMLU and GSM8K, answered by its strong and its weak model.

Read as the paper reads them: contaminated prompts left out, MT Bench routed by the first turn and scored by the mean
of both. For evaluation only; training reads the prompts to keep away from them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from steersman.classifier.errors import DataError

FOLDER = "routellm_eval"
STRONG = "gpt-4-1106-preview"
WEAK = "mistralai/Mixtral-8x7B-Instruct-v0.1"
"""The paper's pair of models, by the names of its files."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Prompts, and how well each model answered them."""

    name: str
    prompts: tuple[str, ...]
    strong: npt.NDArray[np.float64]
    """Quality of the strong model's answer to each prompt, in the benchmark's own units."""
    weak: npt.NDArray[np.float64]


def read_all(data: Path) -> tuple[Benchmark, ...]:
    """Read the three benchmarks from `routellm_eval` in the data folder.

    Raises:
        DataError: A file or a column is missing, or nothing is left.
    """
    folder = data / FOLDER
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder; evaluation and training both need RouteLLM's evaluation files"
        )
    return (_mt_bench(folder / "mt_bench"), _mmlu(folder / "mmlu"), _gsm8k(folder / "gsm8k"))


def prompts_with_contaminated(data: Path) -> Iterator[str]:
    """Every evaluation prompt, also those that the paper leaves out."""
    for benchmark in read_all(data):
        yield from benchmark.prompts
        yield from _contaminated(data / FOLDER / benchmark.name)


def sha256_of_files(data: Path) -> dict[str, str]:
    """SHA-256 in hex of every file that evaluation reads, by its path in the data folder."""
    kinds = ("*.csv", "*.jsonl")
    files = sorted(path for kind in kinds for path in (data / FOLDER).rglob(kind))
    return {str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _mt_bench(folder: Path) -> Benchmark:
    scores: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for row in _json_lines(folder / "judgements.jsonl", columns=("question_id", "model", "score")):
        scores[row["question_id"], row["model"].rpartition("/")[2]].append(float(row["score"]))
    left_out = _contaminated(folder)
    questions = [
        (row["turns"][0], row["question_id"])
        for row in _json_lines(folder / "question.jsonl", columns=("question_id", "turns"))
        if row["turns"][0] not in left_out
    ]
    strong, weak = (
        [_mean(scores[key, model.rpartition("/")[2]], folder) for _, key in questions]
        for model in (STRONG, WEAK)
    )
    return _benchmark("mt_bench", [prompt for prompt, _ in questions], strong=strong, weak=weak)


def _mmlu(folder: Path) -> Benchmark:
    files = sorted((folder / "responses").glob("*.csv"))
    return _answered("mmlu", folder, files=files)


def _gsm8k(folder: Path) -> Benchmark:
    return _answered("gsm8k", folder, files=[folder / "gsm8k_responses.csv"])


def _answered(name: str, folder: Path, *, files: list[Path]) -> Benchmark:
    left_out = _contaminated(folder)
    rows = [row for file in files for row in _csv_rows(file) if row["prompt"] not in left_out]
    strong, weak = ([float(row[model] == "True") for row in rows] for model in (STRONG, WEAK))
    return _benchmark(name, [row["prompt"] for row in rows], strong=strong, weak=weak)


def _benchmark(name: str, prompts: list[str], *, strong: list[float], weak: list[float]) -> Benchmark:
    if not prompts:
        raise DataError(f"the benchmark {name} has no prompts")
    return Benchmark(name=name, prompts=tuple(prompts), strong=np.array(strong), weak=np.array(weak))


def _contaminated(folder: Path) -> frozenset[str]:
    rows = _json_lines(folder / "contaminated_prompts.jsonl", columns=("eval_prompt",))
    return frozenset(row["eval_prompt"] for row in rows)


def _mean(scores: list[float], folder: Path) -> float:
    if not scores:
        raise DataError(f"a question of {folder} has no judgement of one of the models")
    return sum(scores) / len(scores)


def _json_lines(path: Path, *, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    # Not splitlines, which also splits at separators that JSON strings may hold.
    for number, line in enumerate(_text(path).rstrip("\n").split("\n"), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON") from error
        if missing := [column for column in columns if column not in row]:
            raise DataError(f"{path}, line {number}: no column '{missing[0]}'")
        yield row


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    if missing := [column for column in ("prompt", STRONG, WEAK) if column not in (reader.fieldnames or ())]:
        raise DataError(f"{path} has no column '{missing[0]}'")
    yield from reader


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8") from error
