"""`steersman label sample`: choose queries to label."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from steersman.classifier.errors import DataError
from steersman.cli import numbers
from steersman.labelling import queries
from steersman.labelling.folder import Folder
from steersman.labelling.model import Query
from steersman.labelling.sampling import stratified

NAME = "sample"
HELP = "choose queries to label"
_FEW: Final = 200
"""Labels below which adapting a classifier may do harm."""
_NONE: Final = "(none)"
_MOST_TOLD: Final = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the step takes."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where to put them; made where it is missing"
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="JSON lines with 'prompt' or 'messages'; may be .gz",
    )
    parser.add_argument("--count", type=numbers.count, required=True, metavar="N", help="how many to add")
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="draw from each group of this column in proportion, as language or tenant",
    )
    parser.add_argument(
        "--seed", type=numbers.seed, default=0, metavar="N", help="seed of the draw (default: 0)"
    )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Choose among the queries that are not yet in the folder, and add them."""
    folder, out = Folder(options.folder), Console(soft_wrap=True)
    chosen = folder.chosen()
    there = {query.id for query in chosen}
    with errors.status("reading"):
        found = [query for query in queries.read(options.prompts) if query.id not in there]
    if not found:
        raise DataError(f"{', '.join(map(str, options.prompts))}: no query in it that is not chosen already")
    groups = _groups(found, options.by)
    picked = stratified(groups, options.count, generator=np.random.default_rng([options.seed, len(chosen)]))
    folder.choose([found[index] for index in picked])
    _show(out, options, groups=[groups[index] for index in picked], total=len(chosen) + len(picked))


def _groups(found: Sequence[Query], column: str | None) -> list[str]:
    if column is None:
        return [_NONE] * len(found)
    if not any(column in query.row for query in found):
        raise DataError(f"no query has a column '{column}'")
    return [str(query.row.get(column, _NONE)) for query in found]


def _show(out: Console, options: argparse.Namespace, *, groups: Sequence[str], total: int) -> None:
    out.print(
        f"{len(groups):,} queries added to {options.folder}, {total:,} in all", highlight=False, markup=False
    )
    if options.by:
        told = ", ".join(f"{group} {count:,}" for group, count in Counter(groups).most_common(_MOST_TOLD))
        out.print(f"by {options.by}: {told}", highlight=False, markup=False)
    if len(groups) < options.count:
        out.print(f"beware: there are no more than these {len(groups):,}", highlight=False, markup=False)
    if total < _FEW:
        out.print(
            f"beware: fewer than {_FEW} labels may do more harm than good", highlight=False, markup=False
        )
