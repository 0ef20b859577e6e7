"""What `steersman replay` prints."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from steersman.calibration.replay import PER, Compared, Replay, WhatIf
from steersman.classifier.evaluation.bootstrap import Estimate


def show(output: Console, found: Replay, what_if: WhatIf, *, labels: bool) -> None:
    """The comparison, and what it rests on."""
    for text in _premises(found, what_if):
        output.print(text, markup=False, highlight=False)
    output.print(_table(found))
    if labels:
        known = (
            f"quality is known of {found.labelled:,} decisions both as they were and as they would have been"
        )
        output.print(known, highlight=False)


def _premises(found: Replay, what_if: WhatIf) -> list[str]:
    boundaries = ", ".join(map(repr, what_if.boundaries)) or "none"
    kept = "".join(f"; {number:,} kept: {why}" for why, number in sorted(found.kept.items()))
    rule = what_if.out_of_domain
    beyond = (
        f"; {found.out_of_domain:,} out of domain: {rule.rule.value}" if rule and found.out_of_domain else ""
    )
    return [
        f"tiers {', '.join(what_if.tiers)} with boundaries {boundaries}",
        f"{found.decisions:,} decisions, {found.moved:,} would have moved{beyond}{kept}",
        f"cost is of the {found.answered:,} with tokens; an answer that moves is as long as the mean of its new tier",
    ]


def _table(found: Replay) -> Table:
    table = Table("")
    for column in ("recorded", "replayed", "difference"):
        table.add_column(column, justify="right")
    for tier, share in found.shares.items():
        _row(table, f"share of {tier}", share, lambda value: f"{value:.1%}")
    _row(table, f"US dollars per {PER:,} queries", found.usd, lambda value: f"{value:.4g}")
    if found.quality is not None:
        _row(table, "quality", found.quality, lambda value: f"{value:.3f}")
    return table


def _row(table: Table, name: str, compared: Compared, told: Callable[[float], str]) -> None:
    def cell(interval: Estimate) -> str:
        return f"{told(interval.value)} [dim]({told(interval.low)} to {told(interval.high)})[/dim]"

    table.add_row(name, cell(compared.recorded), cell(compared.replayed), cell(compared.difference))
