"""Methods against a benchmark, with the three rows that keep a result honest.

Random is the floor and oracle the ceiling. Prompt length costs nothing and does well on RouteLLM's benchmarks; a
method that does not beat it has learnt nothing of use to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steersman.classifier.evaluation import groups, measures, operating
from steersman.classifier.evaluation.benchmark import Benchmark, Floats
from steersman.classifier.evaluation.bootstrap import Estimate, Estimates, bootstrap
from steersman.classifier.evaluation.groups import Grouping
from steersman.classifier.evaluation.operating import Share, Threshold

Rater = Callable[[Sequence[str]], Floats]
"""Scores of prompts, higher to strong first."""

RANDOM, ORACLE, LENGTH = BASELINES = ("random", "oracle", "prompt length")
FEW = 50
"""Queries below which a bootstrap interval says little: it knows of no query but these."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure."""

    points: tuple[Share | Threshold, ...] = (Share(0.3),)
    columns: tuple[str, ...] = ()
    """By what to group the queries, each column on its own."""
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a point of operation does to a group of queries."""

    point: str
    method: str
    column: str
    """By what the queries are grouped; `groups.ALL` where they are all of the benchmark."""
    group: str
    queries: int
    estimates: dict[str, Estimate]
    """By name, as in `operating`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured on one benchmark."""

    benchmark: Benchmark
    measures: dict[str, dict[str, Estimate]]
    """By method, then by name as in `measures`."""
    curves: dict[str, dict[str, Estimates]]
    """By method, then by name as in `measures`, at the shares of `measures.GRID`."""
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    """What a reader should know before believing the figures, one sentence each."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """A method at a point of operation, for one way of grouping."""

    point: Share | Threshold
    method: str
    sent: Floats
    grouping: Grouping

    def outcomes(self, estimates: Mapping[str, Estimates]) -> Iterator[Outcome]:
        """One for each group."""
        sizes = self.grouping.sizes
        for index, label in enumerate(self.grouping.labels):
            yield Outcome(
                point=str(self.point),
                method=self.method,
                column=self.grouping.column,
                group=label,
                queries=int(sizes[index]),
                estimates={name: estimate.at(index) for name, estimate in estimates.items()},
            )


def evaluate(benchmark: Benchmark, methods: Mapping[str, Rater], settings: Settings) -> Evaluation:
    """Measure methods beside random, oracle and prompt length.

    Every row sees the same resamples, and the same seed gives the same digits.

    Raises:
        DataError: The queries cannot be grouped as asked.
    """
    groupings = _groupings(benchmark, settings.columns)
    scores = {**_baselines(benchmark), **{name: rate(benchmark.prompts) for name, rate in methods.items()}}
    found = bootstrap(
        {name: measures.of_ranking(benchmark, each) for name, each in scores.items()},
        queries=len(benchmark.prompts),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    trials = tuple(_trials(scores, leader=next(iter(methods)), points=settings.points, groupings=groupings))
    return Evaluation(
        benchmark=benchmark,
        measures={
            method: {name: each[name].at() for name in measures.MEASURES if name in each}
            for method, each in found.items()
        },
        curves={
            method: {name: each[name] for name in measures.CURVES if name in each}
            for method, each in found.items()
        },
        outcomes=tuple(_outcomes(benchmark, trials, settings)),
        notes=(*benchmark.notes, *_cautions(benchmark)),
    )


def _baselines(benchmark: Benchmark) -> dict[str, Floats]:
    return {
        RANDOM: np.zeros(len(benchmark.prompts)),
        ORACLE: benchmark.gains,
        LENGTH: benchmark.lengths,
    }


def _groupings(benchmark: Benchmark, columns: Sequence[str]) -> tuple[Grouping, ...]:
    """All queries together, then by each column that this benchmark has."""
    known = (column for column in columns if groups.has(benchmark, column))
    return (groups.everything(benchmark), *(groups.grouping(benchmark, column) for column in known))


def _trials(
    scores: Mapping[str, Floats],
    *,
    leader: str,
    points: Sequence[Share | Threshold],
    groupings: Sequence[Grouping],
) -> Iterator[_Trial]:
    for point in points:
        # A threshold means nothing on what is no percentile, so the baselines spend what the leader spends there.
        spent = Share(float(point.sent(scores[leader]).mean()))
        for method, each in scores.items():
            sent = (spent if method in BASELINES else point).sent(each)
            yield from (_Trial(point, method, sent, grouping) for grouping in groupings)


def _outcomes(benchmark: Benchmark, trials: Sequence[_Trial], settings: Settings) -> Iterator[Outcome]:
    found = bootstrap(
        {
            index: operating.outcome(benchmark, trial.sent, trial.grouping.group)
            for index, trial in enumerate(trials)
        },
        queries=len(benchmark.prompts),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    for index, trial in enumerate(trials):
        yield from trial.outcomes(found[index])


def _cautions(benchmark: Benchmark) -> Iterator[str]:
    count = len(benchmark.prompts)
    if count < FEW:
        yield f"{count} queries are few: the intervals mean little, and differences less"
    if not benchmark.gains.any():
        yield (
            "both models are equally good on every query, so there is no gap to recover; CPT and APGR are not defined"
        )
    elif benchmark.gains.sum() <= 0:
        yield (
            f"{benchmark.strong_model} is on the whole no better than {benchmark.weak_model} here, so there is no gap "
            "to recover; CPT and APGR are not defined"
        )
