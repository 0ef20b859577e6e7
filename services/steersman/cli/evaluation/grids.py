"""The figures as grids of text, the same for the terminal and for the report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steersman.classifier.evaluation import groups, measures, operating
from steersman.classifier.evaluation.bootstrap import Estimate
from steersman.classifier.evaluation.evaluating import BASELINES, Evaluation, Outcome

UNDEFINED = "-"
DIFFERS = "*"
"""After a group's figure whose interval does not hold the figure of all queries."""
EXPLAINED = f"{DIFFERS} The interval does not hold the figure of all queries, as chance lets happen to one group in 20."
_HEADINGS = {operating.COST: "$ for 1,000 queries", operating.SAVED: "saved"}
_THOUSAND = 1000
_DUST = 1e-9
"""What two sums of the same numbers in another order may differ by."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One table."""

    title: str
    heading: tuple[str, ...]
    """The first column's are names, the others' figures."""
    rows: tuple[tuple[str, ...], ...]


def headline(evaluation: Evaluation) -> str:
    """What was measured on, in a line."""
    benchmark = evaluation.benchmark
    return (
        f"{benchmark.name} (n={len(benchmark.prompts)}): {benchmark.strong_model} ({benchmark.strong.mean():.3f}) "
        f"over {benchmark.weak_model} ({benchmark.weak.mean():.3f})"
    )


def costs(evaluation: Evaluation) -> str | None:
    """What the extremes cost, in a line, where it is known."""
    known = evaluation.benchmark.costs
    if known is None:
        return None
    strong, weak = (_THOUSAND * each.mean() for each in (known.strong, known.weak))
    return f"$ for 1,000 queries: {strong:.3g} always strong, {weak:.3g} always weak; {known.basis}"


def measured(evaluation: Evaluation) -> Grid:
    """CPT, APGR and AIQ of every method."""
    names = [name for name in measures.MEASURES if name in next(iter(evaluation.measures.values()))]
    return Grid(
        title="Share of strong calls needed (CPT, lower is better), gap recovered (APGR, higher is better)"
        + (", quality by cost (AIQ)" if measures.AIQ in names else ""),
        heading=("method", *names),
        rows=tuple(
            (method, *(cell(found[name]) for name in names)) for method, found in evaluation.measures.items()
        ),
    )


def operated(evaluation: Evaluation) -> Iterator[Grid]:
    """What every method does at each point of operation."""
    overall = [outcome for outcome in evaluation.outcomes if outcome.column == groups.ALL]
    for point in dict.fromkeys(outcome.point for outcome in overall):
        outcomes = [outcome for outcome in overall if outcome.point == point]
        names = [name for name in outcomes[0].estimates if name != operating.LOST]
        yield Grid(
            title=f"At {point}",
            heading=("method", *(_HEADINGS.get(name, name) for name in names)),
            rows=tuple((outcome.method, *_cells(outcome, names)) for outcome in outcomes),
        )


def grouped(evaluation: Evaluation) -> Iterator[tuple[Grid, tuple[Outcome, ...]]]:
    """What each classifier does to each group, and the outcomes that the rows tell, the first of all queries."""
    for outcomes in fairness(evaluation):
        whole, *rest = outcomes
        names = (operating.SHARE, operating.RECOVERED, operating.LOST)
        yield (
            Grid(
                title=f"{whole.method} by {rest[0].column}, at {whole.point}",
                heading=(rest[0].column, "n", *names),
                rows=tuple(
                    (each.group, f"{each.queries:,}", *_marked(each, whole, names)) for each in outcomes
                ),
            ),
            outcomes,
        )


def fairness(evaluation: Evaluation) -> Iterator[tuple[Outcome, ...]]:
    """Outcomes of each classifier at each point and for each grouping, after the one of all queries."""
    keys = dict.fromkeys(
        (outcome.point, outcome.method, outcome.column)
        for outcome in evaluation.outcomes
        if outcome.method not in BASELINES and outcome.column != groups.ALL
    )
    for point, method, column in keys:
        of_method = [each for each in evaluation.outcomes if (each.point, each.method) == (point, method)]
        whole = [each for each in of_method if each.column == groups.ALL]
        yield (*whole, *(each for each in of_method if each.column == column))


def cell(estimate: Estimate, style: str = ".3f") -> str:
    """A figure with its interval, or without where the interval is no wider than a digit."""
    if math.isnan(estimate.value):
        return UNDEFINED
    value, low, high = (_digits(each, style) for each in (estimate.value, estimate.low, estimate.high))
    if math.isnan(estimate.low):
        return f"{value} ({UNDEFINED})"
    return value if value == low == high else f"{value} ({low} to {high})"


def _digits(value: float, style: str) -> str:
    digits = format(value, style)
    return digits.removeprefix("-") if float(digits) == 0 else digits


def _cells(outcome: Outcome, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        estimate = outcome.estimates[name]
        if name == operating.COST:
            yield cell(Estimate(*(_THOUSAND * each for each in dataclasses.astuple(estimate))), style=".3g")
        else:
            yield cell(estimate)


def _marked(group: Outcome, whole: Outcome, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        estimate, value = group.estimates[name], whole.estimates[name].value
        defined = not math.isnan(estimate.value) and not math.isnan(estimate.low)
        differs = defined and not estimate.low - _DUST <= value <= estimate.high + _DUST
        yield cell(estimate) + (DIFFERS if differs else "")
