"""RouteLLM's public evaluation files: MT Bench, MMLU and GSM8K, answered by its strong and its weak model.

Read as the paper reads them: contaminated prompts left out, MT Bench routed by the first turn and scored by the mean
of both. For evaluation only; training reads the prompts to keep away from them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from steersman.classifier import json_lines
from steersman.classifier.datasets import registry
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.json_lines import Line

FOLDER = "routellm_eval"
STRONG = "gpt-4-1106-preview"
WEAK = "mistralai/Mixtral-8x7B-Instruct-v0.1"
"""The paper's pair of models, by the names of its files."""
_CHOICES = "\nA. "
"""Where the choices of a question begin."""


def read_all(data: Path) -> tuple[Benchmark, ...]:
    """Read the three benchmarks from `routellm_eval` in the data folder.

    Raises:
        DataError: A file or a column is missing, or nothing is left.
    """
    folder = data / FOLDER
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder; evaluation and training both need RouteLLM's evaluation files: "
            f"{registry.how_to_get(folder)}"
        )
    return (_mt_bench(folder / "mt_bench"), _mmlu(folder / "mmlu"), _gsm8k(folder / "gsm8k"))


def prompts_with_contaminated(data: Path) -> Iterator[str]:
    """Every evaluation prompt, also those that the paper leaves out."""
    for benchmark in read_all(data):
        yield from benchmark.prompts
        yield from _contaminated(data / FOLDER / benchmark.name)


def texts_to_keep_from(data: Path) -> Iterator[str]:
    """What nothing that is learnt from may hold: prompts, questions without their choices, later turns."""
    prompts = list(prompts_with_contaminated(data))
    yield from prompts
    yield from (question for prompt in prompts if (question := prompt.partition(_CHOICES)[0]) != prompt)
    for line in _lines(data / FOLDER / "mt_bench" / "question.jsonl"):
        yield from line.column("turns")[1:]


def sha256_of_files(data: Path) -> dict[str, str]:
    """SHA-256 in hex of every file that evaluation reads, by its path in the data folder."""
    kinds = ("*.csv", "*.jsonl")
    files = sorted(path for kind in kinds for path in (data / FOLDER).rglob(kind))
    return {str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _mt_bench(folder: Path) -> Benchmark:
    scores: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for line in _lines(folder / "judgements.jsonl"):
        model = line.column("model").rpartition("/")[2]
        scores[line.column("question_id"), model].append(float(line.column("score")))
    left_out = _contaminated(folder)
    questions = [
        line for line in _lines(folder / "question.jsonl") if line.column("turns")[0] not in left_out
    ]
    strong, weak = (
        [_mean(scores[line.column("question_id"), model.rpartition("/")[2]], folder) for line in questions]
        for model in (STRONG, WEAK)
    )
    return _benchmark(
        "mt_bench",
        [line.column("turns")[0] for line in questions],
        strong=strong,
        weak=weak,
        subjects=[str(line.row.get("category", "mt_bench")) for line in questions],
    )


def _mmlu(folder: Path) -> Benchmark:
    files = sorted((folder / "responses").glob("*.csv"))
    return _answered("mmlu", folder, files={file.stem.removeprefix("mmlu_"): file for file in files})


def _gsm8k(folder: Path) -> Benchmark:
    return _answered("gsm8k", folder, files={"gsm8k": folder / "gsm8k_responses.csv"})


def _answered(name: str, folder: Path, *, files: Mapping[str, Path]) -> Benchmark:
    """Questions by subject, each answered rightly or not."""
    left_out = _contaminated(folder)
    rows = [
        (subject, row)
        for subject, file in files.items()
        for row in _csv_rows(file)
        if row["prompt"] not in left_out
    ]
    strong, weak = ([float(row[model] == "True") for _, row in rows] for model in (STRONG, WEAK))
    prompts = [row["prompt"] for _, row in rows]
    return _benchmark(name, prompts, strong=strong, weak=weak, subjects=[subject for subject, _ in rows])


def _benchmark(
    name: str, prompts: list[str], *, strong: list[float], weak: list[float], subjects: list[str]
) -> Benchmark:
    if not prompts:
        raise DataError(f"the benchmark {name} has no prompts")
    return Benchmark(
        name=name,
        prompts=tuple(prompts),
        strong=np.array(strong),
        weak=np.array(weak),
        strong_model=STRONG,
        weak_model=WEAK,
        columns={"source": tuple(subjects), "subject": tuple(subjects)},
    )


def _contaminated(folder: Path) -> frozenset[str]:
    lines = _lines(folder / "contaminated_prompts.jsonl")
    return frozenset(line.column("eval_prompt") for line in lines)


def _mean(scores: list[float], folder: Path) -> float:
    if not scores:
        raise DataError(f"a question of {folder} has no judgement of one of the models")
    return sum(scores) / len(scores)


def _lines(path: Path) -> Iterator[Line]:
    return json_lines.parse(json_lines.read(path), path)


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        text = json_lines.read(path).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [column for column in ("prompt", STRONG, WEAK) if column not in (reader.fieldnames or ())]:
        raise DataError(f"{path} has no column '{missing[0]}'")
    yield from reader
