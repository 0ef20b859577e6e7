"""Questions that no head which ships was trained on, and that are not the benchmarks either: research-only sources.

AlpacaEval's come twice, with the verdicts of two judges on the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.label_sampling import SOURCES

from steersman.classifier.embeddings import StaticEmbeddings
from steersman.classifier.evaluation import rows as evaluation_rows
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.rows import Pair
from steersman.classifier.training_set import Floats, inputs_of

ALPACA: Final = "alpaca_eval"
JUDGES: Final = {"with reasons": "alpaca_eval_cot_gpt4_turbo_fn", "without": "alpaca_eval_gpt4_turbo_fn"}
"""GPT-4 Turbo, asked in two ways."""
BASELINE: Final = "gpt4_1106_preview"
_BESIDE_ITSELF: Final = f"{BASELINE}|{JUDGES['with reasons']}|vs:{BASELINE}"
"""Scores .5 everywhere: what the strong model wins is what the weak one loses."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions that one strong and one weak model have answered."""

    name: str
    texts: Sequence[str]
    inputs: Floats
    """Embedding and text features."""
    gains: Floats


def read(data: Path, embeddings: StaticEmbeddings) -> Iterator[Questions]:
    """Every set that there is.

    Raises:
        DataError: One is missing or malformed.
    """
    for each in _benchmarks(data):
        inputs = inputs_of(each.prompts, embeddings)
        yield Questions(each.name, each.prompts, inputs, each.strong - each.weak)


def _benchmarks(data: Path) -> Iterator[Benchmark]:
    for name, pair in SOURCES.items():
        # Some of RouterBench's prompts have an example before the question.
        yield _read(
            data, name, pair, text="question" if name == "routerbench_subset" else evaluation_rows.PROMPT
        )
    for how, judge in JUDGES.items():
        pair = Pair(_BESIDE_ITSELF, f"Mixtral-8x7B-Instruct-v0.1|{judge}|vs:{BASELINE}")
        yield replace(_read(data, ALPACA, pair), name=f"{ALPACA}, judged {how}")


def _read(data: Path, name: str, pair: Pair, *, text: str = evaluation_rows.PROMPT) -> Benchmark:
    (path,) = (data / name).glob("*.jsonl.gz")
    return evaluation_rows.read(path, pair, name=name, text=text)[0]
