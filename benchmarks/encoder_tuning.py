"""`python -m benchmarks.encoder_tuning --data DIR --encoder NAME|DIR`: what a fine-tuned encoder tells.

It is fine-tuned without each source in turn and measured on it, as `steersman train bert` does, but on some rows of a
source only, since it takes a fifth of a second of a core a row; beside it the head on static embeddings, trained on the
same rows and on all, and the two together. The benchmarks have no part in this.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks.left_out import Folds, marked, on_marked, static, table
from rich.console import Console
from rich.progress import Progress, TaskID
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import training, validation
from steersman.classifier.fine_tuning import LEARNING_RATE, Encoders
from steersman.classifier.methods import bert, causal_llm
from steersman.classifier.training import Material
from steersman.classifier.training_set import Floats, TrainingSet

ROWS: Final = 500
TOKENS: Final = 128
"""Read of a text."""


def heads(
    material: Material, encoders: Encoders, *, most: int, epochs: int, progress: Callable[[str, float], None]
) -> Iterator[tuple[str, Folds]]:
    """The static head with all rows first, then with the same rows, then the encoder, then means of both."""
    rows = causal_llm.sampled(material.pool.source, most=most, generator=np.random.default_rng(0))
    names = [each.source.folder for each in material.examples]
    tuning = bert.Tuning(encoders, material, progress)
    pool, chosen = marked(tuning.material.pool, rows), bert.Hyperparameters(epochs, LEARNING_RATE)
    static_on_these = on_marked(_without_last_column(static))
    static_on_all = _without_last_column(_without_last_column(static))
    tuned = _once_a_source(on_marked(lambda part: tuning.rank(part, chosen)))
    for name, fit in (
        ("static embeddings, all rows", static_on_all),
        ("static embeddings, the same rows", static_on_these),
        (f"fine-tuned, epochs: {epochs}", tuned),
        ("mean of it and static, the same rows", _mean(tuned, static_on_these)),
        ("mean of it and static, all rows", _mean(tuned, static_on_all)),
    ):
        yield name, validation.leave_one_out(pool, names, fit=fit, measured=rows)


def _without_last_column(fit: validation.Fit) -> validation.Fit:
    def fitted(pool: TrainingSet) -> validation.Ranker:
        rank = fit(replace(pool, inputs=pool.inputs[:, :-1]))
        return lambda inputs: rank(inputs[:, :-1])

    return fitted


def _once_a_source(fit: validation.Fit) -> validation.Fit:
    """Fit once to the same sources."""
    known: dict[bytes, validation.Ranker] = {}

    def fitted(pool: TrainingSet) -> validation.Ranker:
        sources = np.unique(pool.source).tobytes()
        if sources not in known:
            known[sources] = fit(pool)
        return known[sources]

    return fitted


def _mean(*fits: validation.Fit) -> validation.Fit:
    """The mean of what several tell, each in standard deviations of what it tells of the rows that are ranked."""

    def fitted(pool: TrainingSet) -> validation.Ranker:
        ranks = [fit(pool) for fit in fits]
        return lambda inputs: np.mean([_standardised(rank(inputs)) for rank in ranks], axis=0)

    return fitted


def _standardised(outputs: Floats) -> Floats:
    return np.asarray((outputs - outputs.mean()) / outputs.std())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder_tuning", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    parser.add_argument("--encoder", required=True, metavar="NAME|DIR", help="as transformers loads it")
    parser.add_argument(
        "--rows", type=int, default=ROWS, metavar="N", help="take so many of a source, at most (default: 500)"
    )
    parser.add_argument(
        "--epochs", type=int, default=bert.EPOCHS, metavar="N", help="passes over them (default: 2)"
    )
    parser.add_argument(
        "--tokens", type=int, default=TOKENS, metavar="N", help="read so many of a text (default: 128)"
    )
    options = parser.parse_args()
    with threadpool_limits(1), Progress(console=Console(stderr=True)) as bars:
        tasks = defaultdict[str, TaskID](lambda: bars.add_task("fine-tuning", total=1.0))
        material = training.prepare(options.data, environment=os.environ, progress=lambda *_: None)
        encoders = Encoders(options.encoder, seed=0)
        encoders.tokens = options.tokens
        found = heads(
            material,
            encoders,
            most=options.rows,
            epochs=options.epochs,
            progress=lambda stage, done: bars.update(tasks[stage], completed=done),
        )
        Console(width=200).print(table(dict(found)))


if __name__ == "__main__":
    main()
