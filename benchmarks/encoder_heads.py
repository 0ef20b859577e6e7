"""`python -m benchmarks.encoder_heads --data DIR --encoder NAME|DIR`: heads on a sentence encoder's vectors.

Each is trained without each source in turn and measured on it, beside the head on static embeddings: the one that is
trained on the same rows, and the one that has all rows. Only some rows of a source are read by the encoder. The
benchmarks have no part in this.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks import encoder_states
from benchmarks.left_out import STATIC, Folds, Rows, marked, on_marked, static, table
from rich.console import Console
from rich.progress import Progress
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import training, validation
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.fitting import Linear
from steersman.classifier.methods import causal_llm, static_head
from steersman.classifier.training import Material
from steersman.classifier.training_set import Floats, TrainingSet

ROWS: Final = 800
PENALTIES: Final = (30.0, 100.0, 300.0)
"""Of the columns of the encoder's vectors."""


@dataclass(frozen=True, slots=True)
class World:
    """What is trained on, and what the encoder says of some rows of it."""

    pool: TrainingSet
    names: Sequence[str]
    rows: Rows
    """Those that the encoder has read."""
    vectors: tuple[Floats, ...]
    """After each part of its layers, one row a row of the pool; NaN where it has not been read."""

    def folds(self, pool: TrainingSet, fit: validation.Fit) -> Folds:
        """Train without each source, and measure on the rows of it that were read."""
        return validation.leave_one_out(pool, self.names, fit=fit, measured=self.rows)


def world_of(material: Material, *, encoder: str, cache: Path, most: int, seed: int) -> World:
    """Let the encoder read at most so many rows of each source."""
    rows = causal_llm.sampled(material.pool.source, most=most, generator=np.random.default_rng(seed))
    texts = [text for examples in material.examples for text in examples.texts]
    utf8 = BoundedTexts.of([texts[row] for row in np.flatnonzero(rows)]).utf8
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=1.0)
        found = encoder_states.of_texts(
            [text.decode() for text in utf8],
            lambda: encoder_states.Encoder(encoder),
            cache=cache,
            progress=lambda done: bar.update(task, completed=done),
        )
    vectors = []
    for part in found:
        vectors.append(np.full((len(texts), part.shape[1]), np.nan))
        vectors[-1][rows] = part
    return World(material.pool, [each.source.folder for each in material.examples], rows, tuple(vectors))


def heads(world: World) -> Iterator[tuple[str, Folds]]:
    """The head with all rows first, then that with the same rows."""
    pool = world.pool
    yield "static embeddings, all rows", world.folds(pool, static)
    yield "static embeddings, the same rows", world.folds(marked(pool, world.rows), on_marked(static))
    bare = replace(pool, inputs=pool.features, dimensions=0)
    yield "text features alone, the same rows", world.folds(marked(bare, world.rows), on_marked(static))
    for part, vectors in zip(encoder_states.PARTS, world.vectors, strict=True):
        depth = f"after {part}/{encoder_states.PARTS[-1]} of the layers"
        own = replace(pool, inputs=np.hstack((vectors, pool.features)), dimensions=vectors.shape[1])
        beside = replace(pool, inputs=np.hstack((pool.inputs, vectors)))
        for penalty in PENALTIES:
            fit = _with_penalty(penalty)
            yield f"{depth}, {penalty:g}", world.folds(marked(own, world.rows), on_marked(fit))
        for penalty in PENALTIES:
            joined = causal_llm.Hyperparameters(0.1, penalty, source_exponent=0.5)
            yield (
                f"{depth}, {penalty:g}, beside the static head's output",
                world.folds(beside, lambda part, joined=joined: causal_llm.fit(part, joined)),  # type: ignore[misc]
            )


def _with_penalty(penalty: float) -> Callable[[TrainingSet], Linear]:
    return lambda pool: static_head.fit(pool, replace(STATIC, embedding_penalty=penalty))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoder_heads", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    parser.add_argument("--encoder", required=True, metavar="NAME|DIR", help="as transformers loads it")
    parser.add_argument(
        "--cache", type=Path, required=True, metavar="FILE.npz", help="keeps what it has read"
    )
    parser.add_argument(
        "--rows", type=int, default=ROWS, metavar="N", help="read so many of a source, at most (default: 800)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which rows (default: 0)")
    options = parser.parse_args()
    with threadpool_limits(1):
        material = training.prepare(options.data, environment=os.environ, progress=lambda *_: None)
        world = world_of(
            material, encoder=options.encoder, cache=options.cache, most=options.rows, seed=options.seed
        )
        Console(width=200).print(table(dict(heads(world))))


if __name__ == "__main__":
    main()
