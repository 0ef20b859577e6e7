"""Which data sets are measured on, as the command line names them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from steersman.classifier import benchmarks
from steersman.classifier.datasets import registry
from steersman.classifier.errors import DataError
from steersman.classifier.evaluation import groups, rows, transfer
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.prices import Prices, with_costs


@dataclass(frozen=True, slots=True)
class Sets:
    """What is measured on, and the SHA-256 of every file that it was read from."""

    benchmarks: tuple[Benchmark, ...]
    files: dict[str, str]


def read(options: argparse.Namespace) -> Sets:
    """Read what `--data` and the options beside it name.

    Raises:
        DataError: It cannot be used, or the options do not fit each other.
    """
    found = _folder(options) if options.data.is_dir() else _file(options)
    for column in options.group:
        if not any(groups.has(benchmark, column) for benchmark in found.benchmarks):
            # Says which columns there are.
            groups.grouping(found.benchmarks[0], column)
    if options.sample is not None:
        found = replace(found, benchmarks=tuple(_sampled(found.benchmarks, options)))
    prices = _prices(options)
    if prices is None:
        return found
    return Sets(tuple(with_costs(benchmark, prices) for benchmark in found.benchmarks), found.files)


def _sampled(read: Iterable[Benchmark], options: argparse.Namespace) -> Iterator[Benchmark]:
    return (benchmark.sample(options.sample, seed=options.seed) for benchmark in read)


def _folder(options: argparse.Namespace) -> Sets:
    if options.strong or options.weak:
        raise DataError(
            f"{options.data} is a folder, whose pairs of models are known; --strong and --weak go with a file"
        )
    found = Sets(benchmarks.read_all(options.data), benchmarks.sha256_of_files(options.data))
    if not options.transfer:
        return found
    others = tuple(transfer.read_all(options.data))
    return Sets(
        (*found.benchmarks, *(benchmark for benchmark, _, _ in others)),
        found.files | {path: digest for _, path, digest in others},
    )


def _file(options: argparse.Namespace) -> Sets:
    if not options.data.exists():
        raise DataError(
            f"{options.data} is no folder and no file; "
            f"{registry.how_to_get(options.data / benchmarks.FOLDER)}, with RouteLLM's benchmarks"
        )
    if not (options.strong and options.weak):
        raise DataError(
            f"say with --strong and --weak which of the models in {options.data} to choose between"
        )
    if options.transfer:
        raise DataError("--transfer goes with a data folder, not with a file")
    pair = rows.Pair(strong=options.strong, weak=options.weak)
    benchmark, digest = rows.read(options.data, pair, name=_name(options.data), text=options.text)
    return Sets((benchmark,), {options.data.name: digest})


def _name(path: Path) -> str:
    return re.sub(r"(\.jsonl)?(\.gz)?$", "", path.name)


def _prices(options: argparse.Namespace) -> Prices | None:
    given = (options.price_strong, options.price_weak)
    if given == (None, None):
        return None
    if None in given:
        raise DataError("give both --price-strong and --price-weak, or neither")
    return Prices(strong=options.price_strong, weak=options.price_weak, answer_tokens=options.answer_tokens)
