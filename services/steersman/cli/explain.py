"""`steersman explain`: why a query went to the tier that it went to, as a router tells it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp
from rich.console import Console
from rich.table import Table

from steersman.runtime import bounded_body

NAME = "explain"
HELP = "why a query went to the tier that it went to"
DESCRIPTION = """\
Tell why a query went to the tier that it went to. The id of the decision comes with each answer: in the header
x-steersman-decision-id, or as decision.id over gRPC. Routers remember decisions for about an hour, and tell them to
callers of the same tenant. The key is taken from STEERSMAN_API_KEY, never from the command line, which others can see.
"""
_URL: Final = "STEERSMAN_ROUTER_URL"
_KEY: Final = "STEERSMAN_API_KEY"
_SECONDS: Final = 10.0
_LONGEST: Final = 1 << 20
_OK: Final = 200


class ExplainError(Exception):
    """The router could not be asked, or did not tell."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("id", metavar="ID", help="of the decision")
    parser.add_argument(
        "--url",
        default=os.environ.get(_URL, "http://localhost:8080"),
        metavar="URL",
        help=f"a router's HTTP address (default: ${_URL}, else http://localhost:8080)",
    )
    parser.add_argument("--json", action="store_true", help="print what the router says, as JSON")


def run(options: argparse.Namespace, errors: Console) -> None:
    """Ask, and print the explanation on standard output."""
    with errors.status("asking"):
        told = asyncio.run(_ask(f"{options.url.rstrip('/')}/v1/decisions/{options.id}"))
    output = Console(soft_wrap=True, highlight=False)
    if options.json:
        output.print(json.dumps(told, indent=2), markup=False)
        return
    output.print(str(told.get("sentence", "")), markup=False)
    table = Table("field", "value", box=None, show_header=False, pad_edge=False)
    for name, value in _rows(told):
        table.add_row(name, _text(value))
    output.print(table, markup=False)


async def _ask(url: str) -> Mapping[str, Any]:
    key = os.environ.get(_KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=True) as session,
            session.get(url, headers=headers) as response,
        ):
            found = json.loads(await bounded_body.whole(response, longest=_LONGEST))
            if response.status != _OK:
                raise ExplainError(found["error"]["message"])
    except (aiohttp.ClientError, OSError) as error:
        raise ExplainError(f"the router cannot be asked: {str(error) or type(error).__name__}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise ExplainError("what answers there is no router of Steersman, or an older one") from error
    if not isinstance(found, dict):
        raise ExplainError("what answers there is no router of Steersman")
    return found


def _rows(told: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Fields that say something, those of objects after them under their name."""
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name}.")
        elif value is not None and name not in {"object", "sentence"}:
            yield f"{prefix}{name}", value


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
