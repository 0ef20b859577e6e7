"""Triton's door to every method: tensors in, tensors out, and nothing that can go wrong elsewhere.

Each `model.py` of the repository hands this class on; the artefact beside it says which method it is. All requests of
an `execute` are scored as one batch. A request with a text that is not UTF-8 gets an error of its own and harms none
of its neighbours.

Only Triton can import this module: its Python backend brings `triton_python_backend_utils` along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import artefact, methods
from steersman.classifier.scores import Scores


class TritonPythonModel:
    """One instance of a model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the artefact of this version; refuse one whose digest is not the configured one."""
        # Instances are the parallelism. On arrays this small, threads of their own only wait for each other.
        threadpool_limits(1)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        version = args["model_version"]
        parameters = json.loads(args["model_config"])["parameters"]
        configured = parameters[f"{artefact.DIGEST}.{version}"]["string_value"]
        directory = Path(args["model_repository"], version)
        self._scorer = methods.load(directory, os.environ, digest=configured)
        self._scorer.score(["The first text takes its time; nobody should wait for it."])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request, in order."""
        decoded = [_decode(request) for request in requests]
        texts = [text for part in decoded if part is not None for text in part]
        if not texts:
            return [_refuse() for _ in requests]
        scores = self._scorer.score(texts)
        rows = _rows(decoded)
        return [_refuse() if part is None else _answer(scores, next(rows)) for part in decoded]


def _decode(request: Any) -> list[str] | None:
    """The texts of a request, or nothing where one of them is not UTF-8."""
    try:
        return [raw.decode() for raw in pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().flat]
    except UnicodeDecodeError:
        return None


def _rows(decoded: Sequence[list[str] | None]) -> Iterator[slice]:
    """Where the texts of each decoded request lie among all texts."""
    start = 0
    for part in decoded:
        if part is not None:
            yield slice(start, start + len(part))
            start += len(part)


def _answer(scores: Scores, rows: slice) -> Any:
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor("SCORE", scores.score[rows, None]),
            pb_utils.Tensor("WIN_PROBABILITY", scores.win_probability[rows, None]),
            pb_utils.Tensor("NOVELTY", scores.novelty[rows, None]),
            pb_utils.Tensor("TRUNCATED", scores.truncated[rows, None]),
        ]
    )


def _refuse() -> Any:
    error = pb_utils.TritonError("TEXT is not UTF-8", pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(error=error)
