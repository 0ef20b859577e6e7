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
from steersman.classifier.evaluation.bootstrap import Estimate, Estimates, bootstrap, together
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
        _ranked(benchmark, scores),
        queries=len(benchmark.prompts),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    trials = tuple(_trials(scores, leader=next(iter(methods)), points=settings.points, groupings=groupings))
    return Evaluation(
        benchmark=benchmark,
        measures={
            method: {name: found[method, name].at() for name in measures.MEASURES if (method, name) in found}
            for method in scores
        },
        curves={
            method: {name: found[method, name] for name in measures.CURVES if (method, name) in found}
            for method in scores
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


def _ranked(
    benchmark: Benchmark, scores: Mapping[str, Floats]
) -> Callable[[Floats], dict[tuple[str, str], Floats]]:
    rankings = together({method: measures.of_ranking(benchmark, each) for method, each in scores.items()})

    def statistic(counts: Floats) -> dict[tuple[str, str], Floats]:
        found = rankings(counts)
        length = found[LENGTH, measures.APGR]
        over = {(method, measures.OVER_LENGTH): found[method, measures.APGR] - length for method in scores}
        return found | over

    return statistic


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
        together(
            {
                index: operating.outcome(benchmark, trial.sent, trial.grouping.group)
                for index, trial in enumerate(trials)
            }
        ),
        queries=len(benchmark.prompts),
        resamples=settings.resamples,
        seed=settings.seed,
    )
    for index, trial in enumerate(trials):
        yield from trial.outcomes({name: each for (owner, name), each in found.items() if owner == index})


def _cautions(benchmark: Benchmark) -> Iterator[str]:
    count, gains = len(benchmark.prompts), benchmark.gains
    if count < FEW:
        yield f"n = {count} is few: the intervals mean little, and differences less"
    if not gains.any():
        yield "both models are equally good everywhere, so there is no gap to recover; CPT and APGR are not defined (-)"
    elif gains.sum() <= 0:
        yield (
            f"{benchmark.strong_model} is on the whole no better than {benchmark.weak_model} here, so there is no gap "
            "to recover; CPT and APGR are not defined (-)"
        )
    elif (gains == gains[0]).all():
        yield "strong is better by the same on every query, so no choice of queries can be better than another"
