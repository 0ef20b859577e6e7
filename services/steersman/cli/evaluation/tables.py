"""An evaluation on the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steersman.classifier.evaluation.evaluating import Evaluation
from steersman.cli.evaluation import grids
from steersman.cli.evaluation.grids import Grid

_WIDE = 200
"""Columns where the output is no terminal, so that no figure is broken over two lines."""
_INTERVAL = re.compile(r"\(.*\)")


def output() -> Console:
    """Standard output."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _WIDE))


def show(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Print all tables."""
    for evaluation in evaluations:
        console.print()
        console.print(Text(grids.headline(evaluation), style="bold"))
        for note in evaluation.notes:
            console.print(Text(f"note: {note}", style="yellow"))
        if costs := grids.costs(evaluation):
            console.print(Text(costs, style="dim"))
        grouped = [grid for grid, _ in grids.grouped(evaluation)]
        for grid in (grids.measured(evaluation), *grids.operated(evaluation), *grouped):
            console.print(_table(grid))
        if grouped:
            console.print(Text(grids.EXPLAINED, style="dim"))


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left", title_style="italic")
    for index, name in enumerate(grid.heading):
        table.add_column(name, justify="right" if index else "left")
    for row in grid.rows:
        table.add_row(*(Text(row[0]), *(_figure(each) for each in row[1:])))
    return table


def _figure(text: str) -> Text:
    figure = Text(text)
    figure.highlight_regex(_INTERVAL, "dim")
    return figure
