"""Which models are asked, from the command line; their keys come from the environment alone.

A key in an argument would stand in the shell's history and in the list of processes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from steersman.classifier.errors import DataError
from steersman.cli import numbers
from steersman.labelling.endpoint import Endpoint
from steersman.router.model import Price

_FREE: Final = Price(0.0, 0.0)
_SECONDS: Final = 120.0


def add_arguments(parser: argparse.ArgumentParser, role: str, *, max_tokens: int) -> None:
    """Options for one model, each beginning with its role."""
    group = parser.add_argument_group(f"the {role} model")
    group.add_argument(
        f"--{role}-url",
        type=_url,
        required=True,
        metavar="URL",
        help="any server with OpenAI's chat completions",
    )
    group.add_argument(f"--{role}-model", required=True, metavar="NAME", help="what the server calls it")
    group.add_argument(
        f"--{role}-key-env",
        metavar="NAME",
        help=f"environment variable with its key (default: {_variable(role)}, where it is set)",
    )
    group.add_argument(
        f"--{role}-price",
        type=_price,
        metavar="IN:OUT",
        help="US dollars for a million tokens of requests and of replies",
    )
    group.add_argument(
        f"--{role}-max-tokens",
        type=numbers.count,
        default=max_tokens,
        metavar="N",
        help="longest reply (default: %(default)s)",
    )
    group.add_argument(
        f"--{role}-set",
        type=_fields,
        default={},
        metavar="JSON",
        help="further fields of the request; null takes out max_tokens or temperature, which is 0",
    )


def add_asking(parser: argparse.ArgumentParser, *, limited: str) -> None:
    """Options of any step that asks models."""
    parser.add_argument(
        "--at-once", type=numbers.count, default=8, metavar="N", help="calls at once (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout",
        type=numbers.positive,
        default=_SECONDS,
        metavar="SECONDS",
        help="for one reply (default: %(default)g)",
    )
    parser.add_argument(
        "--limit", type=numbers.count, metavar="N", help=f"take so many {limited} and no more"
    )
    parser.add_argument(
        "--max-cost",
        type=numbers.positive,
        metavar="USD",
        help="stop before this step has cost more than that in all its runs",
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what it would cost, and ask nobody")


def endpoint(options: argparse.Namespace, role: str, environment: Mapping[str, str]) -> Endpoint:
    """What `add_arguments` has read.

    Raises:
        DataError: There is no key where one should be, or a limit on cost without a price.
    """
    given = {name: getattr(options, f"{role}_{name}") for name in _NAMES}
    if options.max_cost is not None and given["price"] is None:
        raise DataError(f"--max-cost needs --{role}-price")
    return Endpoint(
        url=given["url"],
        model=given["model"],
        price=given["price"] or _FREE,
        api_key=_key(given["key_env"], role, environment),
        max_tokens=given["max_tokens"],
        parameters=given["set"],
        timeout=options.timeout,
    )


def unpriced(options: argparse.Namespace, roles: Iterable[str]) -> list[str]:
    """The options whose lack makes a cost unknown."""
    return [f"--{role}-price" for role in roles if getattr(options, f"{role}_price") is None]


_NAMES: Final = ("url", "model", "key_env", "price", "max_tokens", "set")


def _key(variable: str | None, role: str, environment: Mapping[str, str]) -> str | None:
    if variable is not None and not environment.get(variable):
        raise DataError(f"--{role}-key-env names {variable}, which is not set")
    return environment.get(variable or _variable(role)) or None


def _variable(role: str) -> str:
    return f"{role.upper()}_API_KEY"


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.username or parts.password:
        raise argparse.ArgumentTypeError(
            "must be a URL with http or https and a host, and without a password"
        )
    return text


def _price(text: str) -> Price:
    request, _, reply = text.partition(":")
    try:
        price = Price(float(request), float(reply))
    except ValueError:
        raise argparse.ArgumentTypeError("must be two amounts, as 1.25:10") from None
    if not (0 <= price.input_usd < math.inf and 0 <= price.output_usd < math.inf):
        raise argparse.ArgumentTypeError("amounts must be finite and at least 0")
    return price


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or {"messages", "model", "stream"} & fields.keys():
        raise argparse.ArgumentTypeError("must be a JSON object without messages, model and stream")
    return fields
