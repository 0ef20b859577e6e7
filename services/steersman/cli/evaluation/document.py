"""An evaluation as JSON: every figure in full, and all that is needed to get the same figures again."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import steersman
from steersman.classifier.evaluation import measures
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.bootstrap import Estimates
from steersman.classifier.evaluation.evaluating import Evaluation, Settings
from steersman.cli.contenders import Contender


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the figures came from; the same gives the same digits."""

    artefacts: tuple[dict[str, str], ...]
    """Name in the tables, directory and digest of each classifier."""
    files: dict[str, str]
    """SHA-256 in hex of every file of data, by its path in the data folder."""
    seed: int
    resamples: int
    versions: dict[str, str]


def provenance(contenders: Sequence[Contender], files: dict[str, str], settings: Settings) -> Provenance:
    """Note what is about to be measured."""
    return Provenance(
        artefacts=tuple(
            {"name": each.name, "directory": str(each.directory), "digest": each.digest}
            for each in contenders
        ),
        files=files,
        seed=settings.seed,
        resamples=settings.resamples,
        versions={
            "steersman": steersman.__version__,
            "python": platform.python_version(),
            "numpy": version("numpy"),
        },
    )


def document(evaluations: Sequence[Evaluation], origin: Provenance) -> bytes:
    """The whole as JSON; a figure that is not defined is null."""
    described = dataclasses.asdict(origin) | {
        "curve_shares": measures.GRID.tolist(),
        "benchmarks": [_described(evaluation) for evaluation in evaluations],
    }
    return (
        json.dumps(_without_nan(described), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    ).encode()


def _described(evaluation: Evaluation) -> dict[str, Any]:
    return {
        **_benchmark(evaluation.benchmark),
        "notes": list(evaluation.notes),
        "measures": {
            method: {name: dataclasses.asdict(each) for name, each in found.items()}
            for method, found in evaluation.measures.items()
        },
        "outcomes": [dataclasses.asdict(outcome) for outcome in evaluation.outcomes],
        "curves": {
            method: {name: _lists(each) for name, each in found.items()}
            for method, found in evaluation.curves.items()
        },
    }


def _benchmark(benchmark: Benchmark) -> dict[str, Any]:
    costs = benchmark.costs
    return {
        "name": benchmark.name,
        "queries": len(benchmark.prompts),
        "strong": {"model": benchmark.strong_model, "quality": float(benchmark.strong.mean())},
        "weak": {"model": benchmark.weak_model, "quality": float(benchmark.weak.mean())},
        "costs": costs
        and {"basis": costs.basis, "strong": float(costs.strong.mean()), "weak": float(costs.weak.mean())},
    }


def _lists(estimates: Estimates) -> dict[str, list[float]]:
    return {
        "value": estimates.value.tolist(),
        "low": estimates.low.tolist(),
        "high": estimates.high.tolist(),
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
