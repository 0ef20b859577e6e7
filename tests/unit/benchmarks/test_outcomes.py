from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from benchmarks import report
from benchmarks.outcomes import Bar, Figure, Held, Metric, Outcome
from benchmarks.prompts import Lengths
from benchmarks.samples import Sample
from rich.console import Console


def figure(name: str, *rates: float, wrong: int = 0) -> Figure:
    samples = [
        Sample(count=round(rate), wrong=wrong, seconds=1.0, p50_ms=1.0, p99_ms=2.0, cpu_seconds={name: 0.5})
        for rate in rates
    ]
    return Figure(name, (name,), samples)


def outcome(
    *, bar: Bar | None = None, metric: Metric = Metric.RATE, reference: Figure | None = None, wrong: int = 0
) -> Outcome:
    ours = figure("router", 600, 500, 400, wrong=wrong)
    return Outcome("Route", metric, bar, Lengths(30, 200, 2000), ours, reference)


def test_a_bar_is_held_against_the_ratio_where_there_is_a_reference() -> None:
    found = outcome(bar=Bar(0.5), reference=figure("echo", 1000, 1000, 1000))

    assert found.compared == 0.5
    assert found.cleared


def test_a_bar_is_held_against_the_figure_itself_where_there_is_none() -> None:
    assert outcome(bar=Bar(500.0)).cleared
    assert not outcome(bar=Bar(501.0)).cleared


def test_a_bar_can_be_the_most_that_will_do() -> None:
    waits = outcome(bar=Bar(1.0, least=False), metric=Metric.P50, reference=figure("other", 1, 1, 1))

    assert waits.cleared


def test_a_bar_can_be_held_against_the_difference() -> None:
    found = replace(outcome(bar=Bar(-400.0), reference=figure("echo", 900, 1000, 1000)), held=Held.DIFFERENCE)

    assert found.compared == -500.0
    assert not found.cleared
    assert "-500.0 /s" in _text(report.figures([found]))


def test_without_a_bar_there_is_no_verdict() -> None:
    assert outcome().cleared is None


@pytest.mark.parametrize(
    ("metric", "value"),
    [(Metric.RATE, 500.0), (Metric.PER_CPU_SECOND, 1000.0), (Metric.P50, 1.0), (Metric.P99, 2.0)],
)
def test_a_figure_is_the_median_of_its_samples(metric: Metric, value: float) -> None:
    assert outcome().ours.median(metric) == value


def test_the_table_tells_figures_ratio_and_verdict() -> None:
    found = outcome(bar=Bar(0.6), reference=figure("echo", 1000, 1000, 1000))

    text = _text(report.figures([found]))

    assert [word in text for word in ("Route", "500/s", "1,000/s", "0.50", ">= 0.6 missed")] == [True] * 5


def test_the_table_names_a_measure_once() -> None:
    text = _text(report.figures([outcome(), outcome(metric=Metric.PER_CPU_SECOND)]))

    assert text.count("Route") == 1


def test_the_sides_are_told_with_processes_wrong_answers_and_lengths_of_prompts() -> None:
    text = _text(report.sides([outcome(reference=figure("echo", 1, 1, 1), wrong=2)]))

    for part in ("router (router); 6 wrong answers", "echo (echo)", "30 to 2000, median 200"):
        assert part in text


def test_the_json_holds_every_run() -> None:
    found = outcome(bar=Bar(0.5), reference=figure("echo", 1000, 1000, 1000))

    content = orjson.loads(report.json([found], {"commit": "abc"}, seconds=1.23))

    assert content["commit"] == "abc"
    assert content["seconds"] == 1.2
    (entry,) = content["outcomes"]
    assert (entry["ours"], entry["reference"], entry["ratio"], entry["cleared"]) == (500.0, 1000.0, 0.5, True)
    assert entry["runs"]["router"]["values"] == [600.0, 500.0, 400.0]
    assert entry["prompt_characters"] == {"shortest": 30, "median": 200, "longest": 2000}


def _text(renderable: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()
