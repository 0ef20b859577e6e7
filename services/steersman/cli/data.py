"""`steersman data`: the data sets that train and evaluate read, from their public homes into a data folder."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from steersman.classifier.datasets import checking, fetching, registry
from steersman.classifier.datasets.download import Downloader, check_url
from steersman.classifier.datasets.registry import DataSet
from steersman.classifier.errors import DataError
from steersman.cli import data_report

NAME = "data"
HELP = "list, fetch and check the data sets that are trained and measured on"
DESCRIPTION = (
    "Fetch data sets by name from their public homes, checked by their hashes, into the folder that "
    "`steersman train --data` and `steersman evaluate --data` read. A folder of your own is taken as it is."
)
FOLDER: Final = Path("data")
"""Where data sets go unless told otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show the data sets: homes, licences, sizes, what is there")
    fetch = actions.add_parser("fetch", help="fetch data sets by name")
    fetch.add_argument("names", nargs="+", metavar="NAME", help="data sets, as `steersman data list` shows")
    fetch.add_argument(
        "--into", type=Path, default=FOLDER, metavar="DIR", help="data folder (default: %(default)s)"
    )
    fetch.add_argument(
        "--from", dest="mirror", metavar="URL", help="fetch from URL/NAME/PATH instead of the public home"
    )
    fetch.add_argument(
        "--again", action="store_true", help="fetch and replace what is there already or was changed"
    )
    check = actions.add_parser("check", help="check hashes, columns and rows of what is there")
    for each in (listing, check):
        each.add_argument(
            "folder",
            type=Path,
            nargs="?",
            default=FOLDER,
            metavar="DIR",
            help="data folder (default: %(default)s)",
        )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Do what was asked, with progress on standard error."""
    _ACTIONS[options.action](options, errors)


def _list(options: argparse.Namespace, _: Console) -> None:
    data_report.show_list(registry.data_sets(), options.folder, Console(soft_wrap=True))


def _fetch(options: argparse.Namespace, errors: Console) -> None:
    wanted = [registry.named(name) for name in dict.fromkeys(options.names)]
    if options.mirror is not None:
        check_url(options.mirror)
    asyncio.run(_fetch_all(wanted, options, errors))


async def _fetch_all(wanted: list[DataSet], options: argparse.Namespace, errors: Console) -> None:
    console = Console(soft_wrap=True)
    async with Downloader() as downloader:
        for data_set in wanted:
            if not options.again and _is_there(data_set, options.into):
                console.print(f"{data_set.name}: is there already", highlight=False)
                continue
            with data_report.FetchBar(data_set, errors) as bar:
                fetched = await fetching.fetch(
                    data_set, into=options.into, source=downloader, mirror=options.mirror, progress=bar
                )
            console.print(data_report.told(data_set, fetched, options.into), highlight=False)


def _is_there(data_set: DataSet, folder: Path) -> bool:
    """Whether nothing is to be done; what is there and would be lost is an error."""
    found = checking.standing(data_set, folder)
    anew = f"--again fetches {data_set.name} anew and replaces it"
    if found.changed:
        raise DataError(f"{folder / found.changed[0]} was changed since it was fetched; {anew}")
    if len(found.there) == len(data_set.outputs):
        return True
    if found.unknown:
        raise DataError(f"{folder / found.unknown[0]} is there and was not fetched; {anew}")
    return False


def _check(options: argparse.Namespace, _: Console) -> None:
    found = checking.check(options.folder)
    data_report.show_check(found, Console(soft_wrap=True))
    if problems := sum(len(each.problems) for each in found):
        raise DataError(f"{options.folder} has {problems} problem{'s' if problems > 1 else ''}")


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace, Console], None]]] = {
    "list": _list,
    "fetch": _fetch,
    "check": _check,
}
