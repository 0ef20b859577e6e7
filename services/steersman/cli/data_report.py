"""What `steersman data` shows: tables of data sets, and a bar while one is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from steersman.classifier.datasets.checking import Checked
from steersman.classifier.datasets.fetching import Fetched
from steersman.classifier.datasets.registry import MEGABYTE, DataSet


class FetchBar:
    """Shows how far the fetch of a data set is: files on the bar, bytes beside it."""

    def __init__(self, data_set: DataSet, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} files, {task.fields[megabytes]:.1f} MB"),
        )
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console)
        self._task = self._progress.add_task(data_set.name, total=len(data_set.files), megabytes=0.0)
        self._bytes = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, *, more_bytes: int = 0, more_files: int = 0) -> None:
        """Move the bar."""
        self._bytes += more_bytes
        self._progress.update(self._task, advance=more_files, megabytes=self._bytes / MEGABYTE)


def told(data_set: DataSet, fetched: Fetched, into: Path) -> str:
    """What was fetched, in one line."""
    known = len(data_set.files) - fetched.newly_known
    hashes = [f"{known} by hashes known before"] if known else []
    if fetched.newly_known:
        hashes.append(f"{fetched.newly_known} for the first time, whose hashes data.lock now holds")
    files = len(fetched.outputs)
    where = into / fetched.outputs[0] if files == 1 else f"{files} files in {into}"
    return f"{data_set.name}: {where} (downloads checked: {'; '.join(hashes)})"


def show_list(data_sets: Sequence[DataSet], folder: Path, console: Console) -> None:
    """Every data set, and whether it is in a data folder."""
    table = Table("name", "for", "may ship?", "licence", "download", "there?")
    for each in data_sets:
        table.add_row(each.name, each.use, each.ships, each.licence, _download(each), _there(each, folder))
    console.print(table)
    for each in data_sets:
        why_not = f" Cannot be fetched: {each.why_not}." if each.why_not is not None else ""
        console.print(f"{each.name}: {each.about}. {each.home}{why_not}", highlight=False, markup=False)


def show_check(found: Sequence[Checked], console: Console) -> None:
    """What was found in a data folder, and every problem."""
    table = Table("name", "files", "rows", "hashes", "problems")
    for each in found:
        table.add_row(
            each.data_set.name,
            f"{each.files} of {len(each.data_set.outputs)}",
            f"{each.rows:,}" if each.rows else "-",
            f"{each.hashed} right" if each.hashed else "not known",
            str(len(each.problems)),
        )
    console.print(table)
    for each in found:
        for problem in each.problems:
            console.print(str(problem), highlight=False, markup=False)


def _download(data_set: DataSet) -> str:
    return data_set.size if data_set.why_not is None else "no"


def _there(data_set: DataSet, folder: Path) -> str:
    there = sum((folder / output.path).is_file() for output in data_set.outputs)
    if there == len(data_set.outputs):
        return "yes"
    return "in part" if there else "no"
