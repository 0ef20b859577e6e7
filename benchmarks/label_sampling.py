"""`python -m benchmarks.label_sampling --data DIR`: whether a clever choice of what to label beats chance.

For each draw, half of a set's questions may be labelled and the other half is scored. Every strategy chooses from
the same half, the shipped head is adapted to what it chose, and its APGR is held against that of chance in the same
draw. An interval that holds 0 is no difference. What to ship was decided on two sources that the shipped head
has not been trained on; the benchmarks decide nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from benchmarks.learning_curve import ARTEFACT, BENCHMARKS
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import artefact, benchmarks, label_regression
from steersman.classifier.embeddings import StaticEmbeddings, locate
from steersman.classifier.evaluation import rows as evaluation_rows
from steersman.classifier.evaluation.benchmark import Benchmark
from steersman.classifier.evaluation.rows import Pair
from steersman.classifier.fitting import spherical_kmeans
from steersman.classifier.metrics import Ranking
from steersman.classifier.static_head import StaticHead
from steersman.classifier.training_set import Floats, inputs_of
from steersman.labelling.sampling import stratified

LABELS: Final = (100, 200, 500)
CHANCE: Final = "chance"
MOST: Final = 2500
"""Questions that may be labelled, and as many that are scored; sets with more than twice as many are drawn from."""
CLUSTERS: Final = 32
PENALTIES: Final = (30.0, 3.0)
"""Of the embedding's and of the text features' columns, as `label_regression` has them."""
SOFTNESS: Final = 0.25
"""How far from the boundary, as a share of the traffic, the odds of being chosen have fallen to .61."""
_T_95: Final = {5: 2.776, 10: 2.262, 20: 2.093, 40: 2.023}
"""Two-sided 95 % quantiles of Student's t by the number of draws."""

SOURCES: Final = {
    "routerbench_subset": Pair("gpt-4-1106-preview", "mistralai/mixtral-8x7b-chat"),
    "routerdc_7b": Pair("dolphin-2.9-llama3-8b", "zephyr-7b-beta"),
}
"""Of the data folder, with the models to choose between."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Pool:
    """Queries that may be labelled, as a strategy sees them."""

    vectors: Floats
    """Unit embeddings."""
    inputs: Floats
    """What a head multiplies, of unit variance and divided by the root of the penalty that adaptation puts on it."""
    place: Floats
    """Where each stands by the old head's output, in 0..1; the boundary is at .5."""
    cluster: npt.NDArray[np.intp]
    """Which of `CLUSTERS` clusters each is in."""


Strategy = Callable[[Pool, int, np.random.Generator], Rows]


def chance(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Any, alike."""
    return generator.permutation(len(pool.place))[:count]


def nearest(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Uncertainty: those nearest to the boundary."""
    del generator
    return np.argsort(abs(pool.place - 0.5), kind="stable")[:count]


def nearer(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Uncertainty, softened: the nearer to the boundary, the more likely."""
    return generator.choice(len(pool.place), count, replace=False, p=_odds(pool.place))


def far_apart(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Coverage: greedy k-centre, each the farthest from all that were chosen before."""
    chosen = [int(generator.integers(len(pool.vectors)))]
    distances = 1 - pool.vectors @ pool.vectors[chosen[0]]
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, 1 - pool.vectors @ pool.vectors[chosen[-1]])
    return np.array(chosen)


def least_variance(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Coverage: greedy optimal design, each lowers the mean variance of the head's outputs the most."""
    del generator
    moments = pool.inputs.T @ pool.inputs / len(pool.inputs)
    open_ = np.ones(len(pool.inputs), dtype=np.bool_)
    # Both are kept up to date, as the inverse of the moments of what is chosen changes by one outer product.
    projected = pool.inputs / count
    spread = projected @ moments
    for _ in range(count):
        noise = 1 + np.einsum("ij,ij->i", projected, pool.inputs)
        lowered = np.einsum("ij,ij->i", spread, projected) / noise
        best = int(np.where(open_, lowered, -np.inf).argmax())
        open_[best] = False
        share, by_moments = pool.inputs @ projected[best] / noise[best], spread[best].copy()
        projected -= np.outer(share, projected[best].copy())
        spread -= np.outer(share, by_moments)
    return np.flatnonzero(~open_)


def by_cluster(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Coverage: each cluster in proportion."""
    return np.array(stratified([str(each) for each in pool.cluster], count, generator=generator))


def by_cluster_and_place(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Coverage of clusters, and within each of all scores."""
    order = np.lexsort((pool.place, pool.cluster))
    places = (np.arange(count) + generator.random()) * len(order) / count
    return np.asarray(order[places.astype(np.intp)])


def nearest_half_apart(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Both: k-centre among the half that is nearest to the boundary."""
    half = nearest(pool, max(count, len(pool.place) // 2), generator)
    part = Pool(pool.vectors[half], pool.inputs[half], pool.place[half], pool.cluster[half])
    return np.asarray(half[far_apart(part, count, generator)])


def nearer_by_cluster(pool: Pool, count: int, generator: np.random.Generator) -> Rows:
    """Both: each cluster in proportion, and within it the nearer the more likely."""
    quota = np.bincount(pool.cluster[by_cluster(pool, count, generator)], minlength=CLUSTERS)
    odds = _odds(pool.place)
    parts = [
        generator.choice(rows, wanted, replace=False, p=odds[rows] / odds[rows].sum())
        for cluster, wanted in enumerate(quota)
        if len(rows := np.flatnonzero(pool.cluster == cluster))
    ]
    return np.concatenate(parts)


STRATEGIES: Final[Mapping[str, Strategy]] = {
    CHANCE: chance,
    "uncertainty: nearest to the boundary": nearest,
    "uncertainty: the nearer the likelier": nearer,
    "coverage: k-centre": far_apart,
    "coverage: least variance of the outputs": least_variance,
    "coverage: clusters in proportion": by_cluster,
    "coverage: clusters and scores in proportion": by_cluster_and_place,
    "both: k-centre in the nearest half": nearest_half_apart,
    "both: clusters, the nearer the likelier": nearer_by_cluster,
}


def draws(
    inputs: Floats, gains: Floats, old: StaticHead, *, seeds: int
) -> Iterator[Mapping[tuple[str, int], float]]:
    """APGR by strategy and number of labels, for one draw after the other."""
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(gains))
        open_, scored = np.array_split(order[: 2 * MOST], 2)
        pool = _pool(inputs[open_], old, generator)
        yield {
            (name, count): _apgr(
                inputs, gains, old, seen=open_[choose(pool, count, generator)], unseen=scored
            )
            for count in LABELS
            for name, choose in STRATEGIES.items()
        }


def _pool(inputs: Floats, old: StaticHead, generator: np.random.Generator) -> Pool:
    vectors = inputs[:, : old.reference.centroids.shape[1]]
    alike = np.full(len(vectors), 1 / len(vectors))
    centres = spherical_kmeans(vectors, centres=CLUSTERS, sample_weights=alike, generator=generator)
    place = np.argsort(np.argsort(label_regression.outputs(old, inputs))) / len(inputs)
    dimensions, features = vectors.shape[1], inputs.shape[1] - vectors.shape[1]
    penalties = np.repeat(PENALTIES, (dimensions, features))
    scaled = (inputs - inputs.mean(axis=0)) / (inputs.std(axis=0) + 1e-9) / np.sqrt(penalties)
    return Pool(vectors, scaled, place, (vectors @ centres.T).argmax(axis=1))


def _apgr(inputs: Floats, gains: Floats, old: StaticHead, *, seen: Rows, unseen: Rows) -> float:
    scores = label_regression.fit(inputs[seen], gains[seen], old)(inputs[unseen])
    return Ranking(scores, gains[unseen]).curve().apgr()


def _odds(place: Floats) -> Floats:
    odds = np.exp(-(((place - 0.5) / SOFTNESS) ** 2) / 2)
    return np.asarray(odds / odds.sum())


def _table(name: str, found: Sequence[Mapping[tuple[str, int], float]]) -> Table:
    table = Table(title=f"{name}: APGR on the other half, mean over {len(found)} draws (less chance, 95 %)")
    table.add_column("chosen by")
    for count in LABELS:
        table.add_column(f"{count} labels", justify="right")
    for strategy in STRATEGIES:
        table.add_row(strategy, *(_cell(found, strategy, count) for count in LABELS))
    return table


def _cell(found: Sequence[Mapping[tuple[str, int], float]], strategy: str, count: int) -> str:
    values = [draw[strategy, count] for draw in found]
    mean = f"{statistics.mean(values):.3f}"
    if strategy == CHANCE:
        return f"{mean} (sd {statistics.stdev(values):.3f})"
    gains = [draw[strategy, count] - draw[CHANCE, count] for draw in found]
    half = _T_95[len(gains)] * statistics.stdev(gains) / math.sqrt(len(gains))
    return f"{mean} ({statistics.mean(gains):+.3f} ± {half:.3f})"


def _read(data: Path, names: Sequence[str]) -> Iterator[Benchmark]:
    for name, pair in SOURCES.items():
        if name in names:
            (path,) = (data / name).glob("*.jsonl.gz")
            yield evaluation_rows.read(path, pair, name=name)[0]
    yield from (each for each in benchmarks.read_all(data) if each.name in names)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_sampling", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    parser.add_argument(
        "--seeds", type=int, choices=sorted(_T_95), default=20, help="draws (default: %(default)s)"
    )
    every = (*SOURCES, *BENCHMARKS)
    parser.add_argument(
        "--on", nargs="+", choices=every, default=every, help="what to measure on (default: all)"
    )
    options = parser.parse_args()
    old = StaticHead.from_tensors(artefact.read(ARTEFACT)[0])
    embeddings = StaticEmbeddings.load(locate(os.environ))
    for benchmark in _read(options.data, options.on):
        inputs = inputs_of(benchmark.prompts, embeddings)
        with threadpool_limits(1):
            found = list(draws(inputs, benchmark.strong - benchmark.weak, old, seeds=options.seeds))
        Console(width=140).print(_table(benchmark.name, found))


if __name__ == "__main__":
    main()
