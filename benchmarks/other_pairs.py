"""`python -m benchmarks.other_pairs --data DIR`: the near candidates of `head_variants`, by other models' answers.

The questions are the same, and so are the heads. What they are measured by are models that took no part in training, in
a choice or in another table: a variant that is better by the luck of some models' answers is not better here. The
benchmarks have no part in this.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks import other_kinds
from benchmarks.head_variants import Variant, World, resampled, variants, world_of
from benchmarks.label_sampling import SOURCES
from benchmarks.other_answers import Answers, Levels
from benchmarks.word_features import WordFeatures
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no type information

from steersman.classifier import training
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embeddings import locate
from steersman.classifier.evaluation.bootstrap import estimate
from steersman.classifier.metrics import Ranking
from steersman.classifier.training import Material
from steersman.classifier.training_set import Floats

CANDIDATES: Final = ("as shipped", "words, steps half beyond length", "word features", "steps beyond length")
_JUDGED: Final = f"|{other_kinds.JUDGES['without']}|vs:{other_kinds.BASELINE}"
_PREFERRED: Final = (0.5, 0.22)
"""How often that judge prefers the strong and the weak model of the pair to the one it compares with."""
_FEWEST: Final = 2
"""Models of a side: one answer says little about a question."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Questions, by what they are ranked by, and what other models gained on them."""

    name: str
    inputs: Floats
    left_out: int | None
    """The source that a head must not have seen; none where it was never trained on."""
    alike: Floats
    """Gains by models as successful as those used."""
    apart: Floats
    """Gains by the best and the worst third."""


def measures(material: Material, world: World, data: Path, words: WordFeatures) -> Iterator[Measure]:
    """Of the training sources that models have answered, then of data of other kinds."""
    for index, examples in enumerate(material.examples):
        source, own = examples.source, material.pool.source == index
        if source.difficulty is not None:
            continue
        answers = Answers.read(data / source.folder, examples.texts)
        levels = (answers.level(source.strong), answers.level(source.weak))
        of_each = (len(source.strong) + len(source.weak)) // 2
        inputs = np.hstack((material.pool.inputs[own], world.words[own]))
        others = answers.among(set(answers.models) - {*source.strong, *source.weak})
        yield _measure(source.folder, inputs, index, others, levels=levels, of_each=of_each)
    for each in other_kinds.read(data, material.embeddings):
        inputs = np.hstack((each.inputs, words.of_texts(BoundedTexts.of(each.texts).utf8)))
        if pair := SOURCES.get(each.name):
            text = "question" if each.name == "routerbench_subset" else None
            answers = Answers.read(data / each.name, each.texts, text=text)
            levels = (answers.level([pair.strong]), answers.level([pair.weak]))
            others = answers.among(set(answers.models) - {pair.strong, pair.weak})
            yield _measure(each.name, inputs, None, others, levels=levels)
        elif each.name.endswith(" without"):
            answers = Answers.read(data / other_kinds.ALPACA, each.texts)
            judged = {model for model in answers.models if model.endswith(_JUDGED)}
            others = answers.among(
                {model for model in judged if not model.startswith("Mixtral-8x7B-Instruct")}
            )
            yield _measure(other_kinds.ALPACA, inputs, None, others, levels=_PREFERRED)


def _measure(
    name: str,
    inputs: Floats,
    left_out: int | None,
    others: Answers,
    *,
    levels: Levels,
    of_each: int = _FEWEST,
) -> Measure:
    return Measure(name, inputs, left_out, alike=others.alike(levels, of_each=of_each), apart=others.apart())


def scores(variant: Variant, world: World, found: Sequence[Measure]) -> list[Floats]:
    """What the variant's head says of each set, trained on all or without the set."""
    pool = variant.pool(world)
    width = pool.inputs.shape[1]
    whole = variant.fit(pool)
    ranks = [
        whole if each.left_out is None else variant.fit(pool.of(pool.source != each.left_out))
        for each in found
    ]
    return [rank(each.inputs[:, :width]) for rank, each in zip(ranks, found, strict=True)]


def _table(title: str, rankings: dict[str, list[Ranking]], found: Sequence[Measure]) -> Table:
    shipped, *_ = rankings.values()
    table = Table("variant", title=title)
    for each in found:
        table.add_column(f"{each.name} ({len(each.alike):,})", justify="right")
    of_training = [number for number, each in enumerate(found) if each.left_out is not None]
    of_others = [number for number, each in enumerate(found) if each.left_out is None]
    for column in ("training sources", "other kinds"):
        table.add_column(column, justify="right")
    for name, own in rankings.items():
        cells = [f"{each.curve().apgr():.3f}" for each in own]
        means = [_difference(own, shipped, found, chosen) for chosen in (of_training, of_others)]
        table.add_row(name, *cells, *means)
    return table


def _difference(
    own: Sequence[Ranking], shipped: Sequence[Ranking], found: Sequence[Measure], chosen: Sequence[int]
) -> str:
    """In the mean of some sets."""
    sizes = [len(found[number].alike) for number in chosen]
    (mean, resamples), (base, base_resamples) = (
        (
            np.mean([some[number].curve().apgr() for number in chosen]),
            resampled([some[n] for n in chosen], sizes),
        )
        for some in (own, shipped)
    )
    told = estimate(float(mean - base), resamples - base_resamples)
    return f"{told.value:+.3f} ({told.low:+.3f} to {told.high:+.3f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.other_pairs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="data folder")
    options = parser.parse_args()
    console = Console(width=200)
    with threadpool_limits(1):
        words = WordFeatures.load(locate(os.environ))
        material = training.prepare(options.data, environment=os.environ, progress=lambda *_: None)
        world = world_of(material, options.data, words)
        found = list(measures(material, world, options.data, words))
        told = {each.name: scores(each, world, found) for each in variants() if each.name in CANDIDATES}
        for rule, gains in (
            ("alike", [each.alike for each in found]),
            ("apart", [each.apart for each in found]),
        ):
            rankings = {
                name: [Ranking(values, gain) for values, gain in zip(own, gains, strict=True)]
                for name, own in told.items()
            }
            console.print(_table(f"APGR by other models, {rule}; difference to what ships", rankings, found))


if __name__ == "__main__":
    main()
