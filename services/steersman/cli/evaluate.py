"""`steersman evaluate`: an artefact on RouteLLM's benchmarks, beside random, oracle and prompt length."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from steersman.classifier import artefact, benchmarks, evaluation, methods
from steersman.classifier.errors import ArtefactError, DataError
from steersman.classifier.evaluation import Estimate, Result
from steersman.classifier.scores import Scorer

NAME = "evaluate"
HELP = "measure a classifier on MT Bench, MMLU and GSM8K"
DESCRIPTION = (
    "Measure how much quality a classifier keeps for how many strong calls, as the RouteLLM paper does: CPT(50), "
    "CPT(80) and APGR with bootstrap 95 % intervals, beside random, oracle and prompt length."
)
_DEFAULT_ARTEFACT = Path("triton_models/static_head/1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help=f"data folder that holds {benchmarks.FOLDER}"
    )
    parser.add_argument(
        "--artefact",
        type=Path,
        default=_DEFAULT_ARTEFACT,
        metavar="DIR",
        help="what `steersman train` wrote (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the bootstrap (default: 0)")
    parser.add_argument(
        "--resamples",
        type=_positive,
        default=1000,
        metavar="N",
        help="bootstrap resamples (default: %(default)s)",
    )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Evaluate, and print a table on standard output."""
    if not options.data.is_dir():
        raise DataError(f"{options.data} is no folder")
    _, manifest = artefact.read(options.artefact)
    if manifest.get("method") not in methods.names():
        raise ArtefactError(f"{options.artefact} holds an artefact of no known method")
    scorer = methods.named(manifest["method"]).load(options.artefact, os.environ)
    with errors.status("evaluating"):
        results = tuple(
            evaluation.evaluate(
                benchmarks.read_all(options.data),
                method=manifest["method"],
                rate=lambda prompts: _rate(scorer, prompts),
                resamples=options.resamples,
                seed=options.seed,
            )
        )
    if options.json is not None:
        _write(options.json, results, options=options, digest=manifest[artefact.DIGEST])
    Console().print(_table(results))


def _rate(scorer: Scorer, prompts: Sequence[str]) -> evaluation.Floats:
    return scorer.score(prompts).score.astype(np.float64)


def _table(results: Sequence[Result]) -> Table:
    measures = tuple(results[0].measures)
    table = Table(title="Share of strong calls (CPT, lower is better) and performance gap recovered (APGR)")
    table.add_column("benchmark")
    table.add_column("method")
    for name in measures:
        table.add_column(name, justify="right")
    for index, result in enumerate(results):
        ends = index + 1 == len(results) or results[index + 1].benchmark != result.benchmark
        cells = (_cell(result.measures[name]) for name in measures)
        table.add_row(f"{result.benchmark} (n={result.queries})", result.method, *cells, end_section=ends)
    return table


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [dim]({estimate.low:.3f} to {estimate.high:.3f})[/dim]"


def _write(path: Path, results: Sequence[Result], *, options: argparse.Namespace, digest: str) -> None:
    described = {
        artefact.DIGEST: digest,
        "seed": options.seed,
        "resamples": options.resamples,
        "files": benchmarks.sha256_of_files(options.data),
        "results": [dataclasses.asdict(result) for result in results],
    }
    try:
        path.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
