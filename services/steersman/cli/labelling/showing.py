"""What a step that asks models shows: an estimate, its progress and cost, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, get_args

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from steersman.labelling.asking import Progress as Told, Tally
from steersman.labelling.budget import Budget
from steersman.labelling.errors import LabellingError
from steersman.labelling.estimate import Estimate
from steersman.labelling.folder import Folder
from steersman.labelling.model import Label, Winner

_CENT: Final = 0.01


@contextmanager
def bar(console: Console, name: str, *, calls: int, budget: Budget) -> Iterator[Told]:
    """A bar that moves with the calls, with the cost beside it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[cost]}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(name, total=calls, cost=_usd(budget.spent))

        def told(tally: Tally) -> None:
            failed = tally.failures.total()
            cost = _usd(budget.spent) + (f", {failed} failed" if failed else "")
            progress.update(task, completed=tally.replies + failed, cost=cost)

        yield told


def unpriced(console: Console, missing: Sequence[str]) -> None:
    """Warn of prices that were not given."""
    if missing:
        console.print(
            f"beware: without {' and '.join(missing)} calls count as free", highlight=False, markup=False
        )


def estimates(console: Console, found: Iterable[Estimate], *, spent: float) -> None:
    """What the calls would cost."""
    table = Table()
    for heading in ("model", "calls", "about", "at most"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for each in found:
        expected = "-" if each.expected_usd is None else _usd(each.expected_usd)
        table.add_row(escape(each.model), f"{each.calls:,}", expected, _usd(each.most_usd))
    console.print(table)
    console.print(
        f"{_usd(spent)} spent so far; estimated at four characters a token, "
        "and 'about' at the mean length of the replies so far",
        highlight=False,
    )


def outcome(console: Console, tally: Tally, *, what: str, spent: float) -> None:
    """What came of the calls, and what was noticed about the replies."""
    console.print(f"{tally.replies:,} {what}; {_usd(spent)} spent so far", highlight=False, markup=False)
    if tally.cut:
        console.print(
            f"beware: {tally.cut:,} of them were cut at the longest reply", highlight=False, markup=False
        )
    if tally.estimated:
        console.print(
            f"beware: {tally.estimated:,} came without usage; their cost is estimated", highlight=False
        )


def check(tally: Tally) -> None:
    """Make what went wrong the command's failure.

    Raises:
        LabellingError: Calls have failed, or some were not made.
    """
    if tally.failures:
        told = "; ".join(f"{words} ({count})" for words, count in tally.failures.most_common(3))
        ended = "; gave up" if tally.stopped else ""
        raise LabellingError(f"{told}{ended}. The same command asks again for what is missing")
    if tally.stopped:
        raise LabellingError(f"stopped: {tally.stopped}")


def written(console: Console, folder: Folder, made: Sequence[Label]) -> None:
    """Where the labels are, and what they say."""
    winners = Counter(label.winner for label in made)
    told = ", ".join(f"{winners[name]:,} {name}" for name in get_args(Winner))
    console.print(
        f"{len(made):,} labels ({told}) in {folder.labels} and {folder.battles}",
        highlight=False,
        markup=False,
    )


def _usd(amount: float) -> str:
    return f"${amount:,.4f}" if amount >= _CENT or not amount else f"${amount:.6f}"
