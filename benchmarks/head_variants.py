"""`python -m benchmarks.head_variants --data DIR`: other ways to train the default head, and what they are worth.

Each is trained without each source in turn and measured on it, beside the head that ships; so much decides. Then it is
trained on all sources and measured on data of other kinds, which no training and no choice of a setting has seen: what
is better only on the sources that it was tried out on has learnt those. The benchmarks have no part in this.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks import head_fits, other_kinds
from benchmarks.other_answers import Answers
from benchmarks.other_kinds import Questions
from benchmarks.word_features import WordFeatures
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import artefact, training, validation
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embeddings import locate
from steersman.classifier.evaluation.bootstrap import Estimate, drawn, estimate
from steersman.classifier.methods import static_head
from steersman.classifier.metrics import Ranking
from steersman.classifier.training import Material
from steersman.classifier.training_data import Examples
from steersman.classifier.training_set import Floats, TrainingSet
from steersman.classifier.validation import Fit
from steersman.cli import contenders

RESAMPLES: Final = 1000
DIRECTIONS: Final = 5
"""Of the answers of all models, in which smoothed labels vary."""


@dataclass(frozen=True, slots=True)
class World:
    """All that variants are made of."""

    pool: TrainingSet
    words: Floats
    """Word features of the pool's rows."""
    smoothed: Floats
    """Targets without what no other model's answers say as well."""
    weak_alone: Floats
    """Targets by the weak models' failures alone."""
    beyond_length: Floats
    """Targets in which solution steps count as far as length does not tell them."""
    half_beyond: Floats
    """The mean of those and of the targets themselves."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to train."""

    name: str
    pool: Callable[[World], TrainingSet]
    fit: Fit


def variants() -> tuple[Variant, ...]:
    """The shipped one first."""
    _, manifest = artefact.read(contenders.DEFAULT)
    setting = static_head.Hyperparameters.from_manifest(manifest)
    shipped: Fit = partial(static_head.fit, hyperparameters=setting)
    # Columns scaled within sources vary less: the penalties that are best for them, of 9 pairs.
    within = partial(
        head_fits.within, setting=replace(setting, embedding_penalty=300.0, feature_penalty=100.0)
    )

    def plain(world: World) -> TrainingSet:
        return world.pool

    return (
        Variant("as shipped", plain, shipped),
        Variant("word features", _with_words, shipped),
        Variant("intercepts by source", plain, within),
        Variant("smoothed labels", lambda world: replace(world.pool, targets=world.smoothed), shipped),
        Variant("all three", lambda world: replace(_with_words(world), targets=world.smoothed), within),
        Variant(
            "words, smoothed, worst up 0.3",
            lambda world: replace(_with_words(world), targets=world.smoothed),
            partial(head_fits.worst_up, setting=setting, rate=0.3),
        ),
        Variant(
            "words, steps half beyond length",
            lambda world: replace(_with_words(world), targets=world.half_beyond),
            shipped,
        ),
        Variant("weak alone", lambda world: replace(world.pool, targets=world.weak_alone), shipped),
        Variant(
            "steps beyond length", lambda world: replace(world.pool, targets=world.beyond_length), shipped
        ),
        *(
            Variant(
                f"worst source up, {rate:g}", plain, partial(head_fits.worst_up, setting=setting, rate=rate)
            )
            for rate in (0.3, 1.0)
        ),
        *(
            Variant(f"consistent, {by:g}", plain, partial(head_fits.consistent, setting=setting, by=by))
            for by in (0.5, 1.0)
        ),
        *(
            Variant(f"a head a source, {by:g}", plain, partial(head_fits.by_source, setting=setting, by=by))
            for by in (0.0, 10.0)
        ),
        *(
            Variant(
                f"novel to the middle, {by:g}", plain, partial(head_fits.to_middle, setting=setting, by=by)
            )
            for by in (1.0, 3.0)
        ),
    )


def world_of(material: Material, data: Path, words: WordFeatures) -> World:
    """Targets and word features of what is trained on."""
    smoothed, weak, beyond, half = [], [], [], []
    for index, examples in enumerate(material.examples):
        own = material.pool.of(material.pool.source == index)
        smoothed.append(_scaled(_smooth(examples, _crowd(data, examples))))
        weak.append(_scaled(_failures(examples)))
        residual = _scaled(head_fits.beyond(own.targets, own.features[:, :2]))
        beyond.append(residual if examples.source.difficulty else own.targets)
        half.append(_scaled(own.targets + beyond[-1]))
    texts = [text for examples in material.examples for text in examples.texts]
    return World(
        material.pool,
        words=words.of_texts(BoundedTexts.of(texts).utf8),
        smoothed=np.concatenate(smoothed),
        weak_alone=np.concatenate(weak),
        beyond_length=np.concatenate(beyond),
        half_beyond=np.concatenate(half),
    )


def left_out(variant: Variant, world: World, names: Sequence[str]) -> tuple[validation.Fold, ...]:
    """Trained without each source that models have answered, and measured on it."""
    return validation.leave_one_out(variant.pool(world), names, fit=variant.fit)


def resampled(rankings: Sequence[Ranking], sizes: Sequence[int]) -> Floats:
    """Mean APGR of some rankings in each resample; the same resamples for rankings of the same rows."""
    of_each = [
        np.concatenate(
            [ranking.curves(each).apgr() for each in drawn(size, resamples=RESAMPLES, seed=number)]
        )
        for number, (ranking, size) in enumerate(zip(rankings, sizes, strict=True))
    ]
    return np.asarray(np.mean(of_each, axis=0))


def _with_words(world: World) -> TrainingSet:
    return replace(world.pool, inputs=np.hstack((world.pool.inputs, world.words)))


def _crowd(data: Path, examples: Examples) -> Floats:
    """Success of every model of the file that has answered most rows; its mean where it has not."""
    found = Answers.read(data / examples.source.folder, examples.texts).success
    return np.where(np.isnan(found), np.nanmean(found, axis=0), found) if found.size else found


def _smooth(examples: Examples, crowd: Floats) -> Floats:
    """The part of the gains in the directions in which the answers of all models vary most."""
    centred: Floats = examples.gains - examples.gains.mean()
    if crowd.shape[1] <= DIRECTIONS:
        return centred
    directions, _, _ = np.linalg.svd(crowd - crowd.mean(axis=0), full_matrices=False)
    kept = directions[:, :DIRECTIONS]
    return np.asarray(kept @ (kept.T @ centred))


def _failures(examples: Examples) -> Floats:
    """How often weak models fail; the gains where none has answered."""
    weak = [column for column, model in enumerate(examples.models) if examples.side_of(model) < 0]
    return np.asarray(1 - np.nanmean(examples.outcomes[:, weak], axis=1)) if weak else examples.gains


def _scaled(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())


def _told(value: float, difference: Estimate) -> str:
    return f"{value:.3f}, {difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _row(rankings: Sequence[Ranking], sizes: Sequence[int], shipped: Sequence[Ranking]) -> str:
    mean, base = (float(np.mean([each.curve().apgr() for each in some])) for some in (rankings, shipped))
    return _told(mean, estimate(mean - base, resampled(rankings, sizes) - resampled(shipped, sizes)))


def _left_out_table(all_folds: dict[str, tuple[validation.Fold, ...]]) -> Table:
    shipped, *_ = all_folds.values()
    table = Table("variant", title="APGR on the source left out; difference to what ships, 95 % interval")
    for column in (*(fold.source for fold in shipped), "mean"):
        table.add_column(column, justify="right")
    for name, folds in all_folds.items():
        rankings, sizes = [fold.ranking for fold in folds], [fold.rows for fold in folds]
        mean = _row(rankings, sizes, [fold.ranking for fold in shipped])
        table.add_row(name, *(f"{fold.apgr:.3f}" for fold in folds), mean)
    return table


def _elsewhere_table(rankings: dict[str, list[Ranking]], sets: Sequence[Questions]) -> Table:
    shipped, *_ = rankings.values()
    table = Table("variant", title="APGR on data of other kinds; difference to what ships, 95 % interval")
    for column in (*(f"{each.name} ({len(each.gains):,})" for each in sets), "mean"):
        table.add_column(column, justify="right")
    for name, own in rankings.items():
        cells = (
            _row([ranking], [len(each.gains)], [base])
            for ranking, base, each in zip(own, shipped, sets, strict=True)
        )
        table.add_row(name, *cells, _row(own, [len(each.gains) for each in sets], shipped))
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.head_variants", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    options = parser.parse_args()
    console = Console(width=220)
    with threadpool_limits(1), Console(stderr=True).status("training"):
        words = WordFeatures.load(locate(os.environ))
        material = training.prepare(options.data, environment=os.environ, progress=lambda *_: None)
        world = world_of(material, options.data, words)
        names = [each.source.folder for each in material.examples]
        folds = {each.name: left_out(each, world, names) for each in variants()}
        console.print(_left_out_table(folds))
        sets = [
            replace(each, inputs=np.hstack((each.inputs, words.of_texts(BoundedTexts.of(each.texts).utf8))))
            for each in other_kinds.read(options.data, material.embeddings)
        ]
        rankings: dict[str, list[Ranking]] = {}
        for each in variants():
            pool = each.pool(world)
            rank = each.fit(pool)
            width = pool.inputs.shape[1]
            rankings[each.name] = [Ranking(rank(other.inputs[:, :width]), other.gains) for other in sets]
        console.print(_elsewhere_table(rankings, sets))


if __name__ == "__main__":
    main()
