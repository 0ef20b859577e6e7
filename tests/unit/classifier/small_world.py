"""Data and embeddings of the real layout, small enough to train on within a test."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from steersman.classifier import benchmarks, training_data

STRONG, WEAK = benchmarks.STRONG, benchmarks.WEAK
TOPICS = ("tides", "algebra", "poems", "loops", "trade")
_MARK = "\N{LOWER ONE EIGHTH BLOCK}"


def write_embeddings(directory: Path) -> Path:
    """A vocabulary of single characters with random vectors, in the wheel's layout."""
    characters = [chr(code) for code in range(0x20, 0x7F)]
    vocabulary = {token: index for index, token in enumerate(["<unk>", _MARK, *characters])}
    (directory / "weights").mkdir(parents=True)
    (directory / "tokenizers").mkdir()
    table = np.random.default_rng(7).normal(size=(len(vocabulary), 8)).astype(np.float16)
    save_file({"embedding.weight": table}, directory / "weights" / "l2_supercat_256.safetensors")
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))  # noqa: S106  # no password
    tokenizer.save(str(directory / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    return directory


def write_data(directory: Path) -> Path:
    """Every source that may be trained on, and the three benchmarks."""
    for source in training_data.sources():
        write_rows(directory / source.folder, rows(source))
    evaluation = directory / benchmarks.FOLDER
    _write_mt_bench(evaluation / "mt_bench")
    write_answers(evaluation / "mmlu" / "responses" / "mmlu_tides.csv", name="mmlu")
    write_answers(evaluation / "gsm8k" / "gsm8k_responses.csv", name="gsm8k")
    for name in ("mmlu", "gsm8k"):
        write_json_lines(
            evaluation / name / "contaminated_prompts.jsonl", [{"eval_prompt": f"{name} question 0?"}]
        )
    return directory


def rows(source: training_data.Source, *, count: int = 20) -> list[dict[str, Any]]:
    """Rows whose gain rises with their length."""
    models_of = {**dict.fromkeys(source.strong, 1.0)}
    return [
        {
            "id": f"{source.folder}/{index}",
            "prompt": f"{source.folder} row {index} about {TOPICS[index % 5]} " + "and more of it " * index,
            "source": source.folder,
            "scores": models_of
            | {model: float(index % 3 == place % 3) for place, model in enumerate(source.weak)},
            "steps": index % 7,
            "near_eval": False,
        }
        for index in range(count)
    ]


def write_rows(folder: Path, content: Iterable[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in content)
    (folder / f"{folder.name}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))


def write_answers(path: Path, *, name: str, count: int = 12) -> None:
    """Strong answers all, weak every third."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt", WEAK, STRONG))
        writer.writerows((f"{name} question {index}?", index % 3 == 0, True) for index in range(count))


def write_json_lines(path: Path, content: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")


def _write_mt_bench(folder: Path) -> None:
    questions = range(101, 109)
    write_json_lines(
        folder / "question.jsonl",
        [{"question_id": key, "turns": [f"mt question {key}?", "And then?"]} for key in questions],
    )
    write_json_lines(
        folder / "judgements.jsonl",
        [
            {"question_id": key, "model": model.rpartition("/")[2], "score": score - turn}
            for key in questions
            for turn in (0, 1)
            for model, score in ((STRONG, 10), (WEAK, 5 + key % 5))
        ],
    )
    write_json_lines(folder / "contaminated_prompts.jsonl", [{"eval_prompt": "mt question 101?"}])
