"""`python -m benchmarks.methods --data DIR`: how fast each committed method scores, in batches and in this process.

One thread, as in Triton, and words that were met before, as most are. The methods that keep rows are measured with
10,000 rows as well, their own repeated. A method that needs a library or model which is not here is left out.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import artefact, benchmarks, methods
from steersman.classifier.embedded import EmbeddedScorer
from steersman.classifier.embeddings import StaticEmbeddings, locate
from steersman.classifier.errors import ClassifierError
from steersman.classifier.methods import knn, sw_ranking
from steersman.classifier.neighbours import NeighbourHead
from steersman.classifier.scores import Scorer

REPOSITORY: Final = Path("triton_models")
BATCHES: Final = (1, 8, 32)
ROWS: Final = 10_000
PROMPTS: Final = 1024
ROUNDS: Final = 5
SLOW: Final = ("bert", "causal_llm")
"""Read a text word by word with a network: fewer prompts and rounds tell as much."""
SLOW_PROMPTS: Final = 32


def scorers() -> Iterator[tuple[str, Scorer]]:
    """Every method, and those that keep rows with many rows."""
    for name in methods.names():
        try:
            yield name, methods.load(REPOSITORY / name / "1", os.environ)
        except ClassifierError as error:
            Console(stderr=True).print(f"{name} is left out: {error}", highlight=False)
    embeddings = StaticEmbeddings.load(locate(os.environ))
    for name, method in (("knn", knn), ("sw_ranking", sw_ranking)):
        tensors, _ = artefact.read(REPOSITORY / name / "1")
        for part in ("rows.vectors", "rows.labels"):
            times = -(-ROWS // len(tensors[part]))
            tensors[part] = np.concatenate([tensors[part]] * times)[:ROWS]
        head = NeighbourHead.from_tensors(tensors, rule=method.RULE)
        yield f"{name}, {ROWS:,} rows", EmbeddedScorer(head=head, embeddings=embeddings)


def microseconds(scorer: Scorer, prompts: Sequence[str], *, batch: int, rounds: int) -> float:
    """A text's part of the processor time of its batch, the least of several rounds."""
    parts = [prompts[start : start + batch] for start in range(0, len(prompts), batch)]
    least = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for part in parts:
            scorer.score(part)
        least = min(least, time.process_time() - started)
    return 1e6 * least / len(prompts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    options = parser.parse_args()
    read = benchmarks.read_all(options.data)
    # Of every benchmark alike, since prompts of one are of one length.
    mixed = itertools.chain.from_iterable(zip(*(itertools.cycle(each.prompts) for each in read), strict=True))
    prompts = tuple(itertools.islice(mixed, PROMPTS))
    table = Table(title="Microseconds of one processor core a text")
    table.add_column("method")
    for batch in BATCHES:
        table.add_column(f"batch of {batch}", justify="right")
    with threadpool_limits(1):
        for name, scorer in scorers():
            some, rounds = (prompts[:SLOW_PROMPTS], 1) if name in SLOW else (prompts, ROUNDS + 1)
            cells = [microseconds(scorer, some, batch=batch, rounds=rounds) for batch in BATCHES]
            table.add_row(name, *(f"{cell:.0f}" for cell in cells))
    Console().print(table)


if __name__ == "__main__":
    main()
