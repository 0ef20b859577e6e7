"""What the demo prints: a line a query, one request's trace, and what routing saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from steersman.local.demo.answers import STAGES, Answer, Outcome
from steersman.local.policy_file import PRICES
from steersman.local.traces import Line

_COLOURS: Final = {"weak": "green", "strong": "magenta"}
_STAGES_WIDTH: Final = 30
_LONGEST: Final = 90
"""Characters of a prompt or an answer that are shown."""
_MILLION: Final = 1_000_000


def decisions(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print the table of decisions and answers."""
    table = Table(title="Decisions", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, leading=1)
    table.add_column("prompt\n[blue]sent by", ratio=3)
    table.add_column("score\nthreshold", justify="right", no_wrap=True)
    table.add_column("tier", no_wrap=True)
    table.add_column("reason\n[dim]cache")
    table.add_column("overhead, ms\n[dim]by stage", max_width=_STAGES_WIDTH)
    table.add_column("tokens\nin, out", justify="right", no_wrap=True)
    table.add_column("time\ns", justify="right", no_wrap=True)
    table.add_column("answer begins", ratio=3)
    for outcome in outcomes:
        table.add_row(*_row(outcome))
    console.print(table)


def trace(console: Console, outcome: Outcome, lines: Sequence[Line]) -> None:
    """Print one request's trace as a tree, from the caller to the engine."""
    console.print(f"\n[bold]One request, from caller to engine[/bold]  {escape(_cut(outcome.query.text))}")
    table = Table(box=None, pad_edge=False)
    table.add_column("span")
    table.add_column("begins, ms", justify="right")
    table.add_column("takes, ms", justify="right")
    for line in lines:
        span = line.span
        name = f"[dim]{line.branch}[/dim][cyan]{escape(span.service)}[/cyan] {escape(span.name)}"
        error = f" [red]{escape(span.error)}" if span.error else ""
        table.add_row(name + error, f"{line.offset_ms:.2f}", f"{span.milliseconds:.2f}")
    console.print(table)


def summary(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print the share of strong, and the cost against a deployment that asks strong always."""
    answers = [outcome.answer for outcome in outcomes]
    strong = sum(answer.tier == "strong" for answer in answers)
    cost = sum(_usd(answer, answer.tier) for answer in answers)
    always = sum(_usd(answer, "strong") for answer in answers)
    hits = sum(answer.cache == "L1_HIT" for answer in answers)
    overhead = sorted(answer.overhead_ms for answer in answers)[len(answers) // 2]
    console.print(f"\n[bold]Summary[/bold]  {len(answers)} queries, {hits} with a cached decision")
    console.print(f"strong share   {strong} of {len(answers)}, {strong / len(answers):.0%}")
    console.print(
        f"cost           ${cost:.6f} against ${always:.6f} with strong always: "
        f"[bold]{1 - cost / always if always else 0:.0%} less[/bold]"
    )
    console.print(f"overhead       {overhead:.1f} ms in the median")
    prices = ", ".join(f"{tier} ${price:g}" for tier, price in PRICES.items())
    console.print(f"[dim]At example prices per million tokens: {prices}.")


def _row(outcome: Outcome) -> tuple[str, ...]:
    answer, query = outcome.answer, outcome.query
    stages = ", ".join(f"{stage}\N{NO-BREAK SPACE}{answer.stages_ms.get(stage, 0.0):.1f}" for stage in STAGES)
    turn = "[bold]↳[/bold] " if query.goes_on else ""
    return (
        f"{turn}{escape(_cut(query.text))}\n[blue]{query.way.value}",
        f"[bold]{_number(answer.score)}[/bold]\n{_number(answer.threshold)}",
        f"[{_COLOURS.get(answer.tier, 'white')}]{answer.tier}",
        f"{answer.reason}\n[dim]{answer.cache}",
        f"[bold]{answer.overhead_ms:.1f}[/bold]\n[dim]{stages}",
        f"{answer.input_tokens}\n{answer.output_tokens}",
        f"{outcome.seconds:.1f}",
        escape(_cut(" ".join(answer.text.split()))),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _usd(answer: Answer, tier: str) -> float:
    return (answer.input_tokens + answer.output_tokens) * PRICES[tier] / _MILLION


def _cut(text: str, length: int = _LONGEST) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
