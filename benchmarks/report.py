"""Results for people, as a table, and for programs, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import orjson
from benchmarks.outcomes import Bar, Figure, Held, Metric, Outcome
from rich.table import Table


def figures(outcomes: Sequence[Outcome]) -> Table:
    """What was found, one row an outcome."""
    result = Table(
        title="Medians of the rounds; what is held against another is the median of the rounds' ratios or differences"
    )
    result.add_column("measure")
    for name in ("ours", "held against", "ratio or difference", "bar"):
        result.add_column(name, justify="right")
    for title, group in groupby(outcomes, lambda outcome: outcome.title):
        for number, outcome in enumerate(group):
            result.add_row("" if number else title, *_cells(outcome))
        result.add_section()
    return result


def sides(outcomes: Sequence[Outcome]) -> Table:
    """What stood on each side, one row a measure."""
    result = Table(title="What stands on each side, with the processes whose CPU time is counted")
    for name in ("measure", "ours", "held against", "prompts (characters)"):
        result.add_column(name)
    for title, group in groupby(outcomes, lambda outcome: outcome.title):
        first = next(group)
        lengths = first.prompts
        spread = f"{lengths.shortest} to {lengths.longest}, median {lengths.median}"
        result.add_row(title, _side(first.ours), _side(first.reference), spread)
    return result


def json(outcomes: Sequence[Outcome], provenance: dict[str, Any], *, seconds: float) -> bytes:
    """Everything, down to single runs."""
    content = {**provenance, "seconds": round(seconds, 1), "outcomes": [_entry(each) for each in outcomes]}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def _entry(outcome: Outcome) -> dict[str, Any]:
    metric = outcome.metric
    return {
        "title": outcome.title,
        "unit": metric.value.strip(),
        "ours": outcome.ours.median(metric),
        "reference": outcome.reference.median(metric) if outcome.reference else None,
        outcome.held.value: outcome.compared,
        "bar": asdict(outcome.bar) if outcome.bar else None,
        "cleared": outcome.cleared,
        "prompt_characters": asdict(outcome.prompts),
        "runs": {
            figure.side: {
                "processes": figure.processes,
                "values": figure.values(metric),
                "samples": [asdict(sample) for sample in figure.samples],
            }
            for figure in (outcome.ours, outcome.reference)
            if figure
        },
    }


def _cells(outcome: Outcome) -> list[str]:
    reference = outcome.reference
    return [
        _value(outcome.ours.median(outcome.metric), outcome.metric),
        "" if reference is None else _value(reference.median(outcome.metric), outcome.metric),
        _compared(outcome),
        _verdict(outcome.bar, cleared=outcome.cleared),
    ]


def _compared(outcome: Outcome) -> str:
    compared = outcome.compared
    if compared is None:
        return ""
    return f"{compared:.2f}" if outcome.held is Held.RATIO else f"{compared:+.1f} {outcome.metric.value}"


def _value(value: float, metric: Metric) -> str:
    digits = 1 if value < 100 else 0  # noqa: PLR2004 - three digits tell enough
    unit = metric.value
    return f"{value:,.{digits}f}{unit if unit.startswith('/') else f' {unit}'}"


def _verdict(bar: Bar | None, *, cleared: bool | None) -> str:
    if bar is None:
        return ""
    colour, word = ("green", "cleared") if cleared else ("red", "missed")
    return f"[{colour}]{'>=' if bar.least else '<='} {bar.value:g} {word}[/]"


def _side(figure: Figure | None) -> str:
    if figure is None:
        return ""
    wrong = sum(sample.wrong for sample in figure.samples)
    return f"{figure.side} ({', '.join(figure.processes)})" + (f"; {wrong} wrong answers" if wrong else "")
