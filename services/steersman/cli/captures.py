"""`steersman captures`: prompts that routers have kept for labelling, counted, read and deleted; and their keys."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from rich.console import Console
from rich.table import Table

from steersman.captures import key_file
from steersman.captures.place import mark_of
from steersman.captures.seals import CannotOpen, SealKey, Seals
from steersman.classifier import whole_files
from steersman.cli.options import add_action
from steersman.identity.key_file import TENANT_PATTERN
from steersman.router.adapters.redis_captures import RedisCaptures
from steersman.router.ports import StoreUnavailable
from steersman.runtime.settings import Tls
from steersman.runtime.tls import opened
from steersman.runtime.watched_file import NotUsable

NAME = "captures"
HELP = "read and delete the prompts that routers have kept for labelling"
DESCRIPTION = """\
Count, read and delete the prompts that routers have kept for labelling, in the Redis that routers share. Routers keep
none unless they have a file of keys (STEERSMAN_CAPTURE__KEY_FILE), and a tenant a `capture` in the policy file.
"""
_URL: Final = "STEERSMAN_CACHE__URL"
_TLS: Final = "STEERSMAN_TLS__FOLDER"
_SECONDS: Final = 10.0
_OWNERS_ONLY: Final = 0o600


class CapturesError(Exception):
    """What was asked could not be done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    rotate = add_action(
        actions, "rotate", "make a key that seals from now on; those before still open", _rotate
    )
    _key_file(rotate)
    listing = add_action(actions, "list", "show how many there are of each tenant", _in_redis(_list))
    export = add_action(actions, "export", "write them as JSON lines, readable", _in_redis(_export))
    _key_file(export)
    export.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: standard output)")
    delete = add_action(actions, "delete", "delete those of a tenant or a caller", _in_redis(_delete))
    for parsed in (listing, export, delete):
        _redis(parsed)
    for parsed in (export, delete):
        parsed.add_argument("--tenant", type=_tenant, metavar="NAME", help="of this tenant")
        parsed.add_argument(
            "--caller", metavar="ID", help="of this caller: a key's id, or NAMESPACE/NAME of a ServiceAccount"
        )


def run(options: argparse.Namespace, errors: Console) -> None:
    """Do what was asked."""
    options.act(options, errors)


def _rotate(options: argparse.Namespace, errors: Console) -> None:
    path: Path = options.key_file
    key = SealKey.make()
    try:
        before = path.read_bytes() if path.exists() else None
        text = key_file.with_new(before, key, created=datetime.now(UTC))
        whole_files.replace_all({path: text}, mode=_OWNERS_ONLY)
    except OSError as error:
        raise CapturesError(f"cannot write {path}: {error.strerror}") from error
    except key_file.KeyFileError as error:
        raise CapturesError(f"{path}: {error}") from error
    errors.print(f"Key {key.id} seals from now on; {path} is secret.", highlight=False)


async def _list(store: RedisCaptures, options: argparse.Namespace, _: Console) -> None:
    del options
    table = Table("tenant", "prompts", "bytes", "since")
    for held in await store.held():
        since = datetime.fromtimestamp(held.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(held.tenant, str(held.prompts), str(held.size), since)
    Console(soft_wrap=True).print(table, markup=False)


async def _export(store: RedisCaptures, options: argparse.Namespace, errors: Console) -> None:
    seals = Seals(_keys(options.key_file))
    written = await _written(store, seals, options)
    errors.print(f"{written} prompts; they are readable now, so keep them as what they are.", highlight=False)


async def _written(store: RedisCaptures, seals: Seals, options: argparse.Namespace) -> int:
    if options.out is None:
        return await _write(sys.stdout.buffer, store, seals, options)
    try:
        file = os.open(options.out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNERS_ONLY)
    except OSError as error:
        raise CapturesError(f"cannot write {options.out}: {error.strerror}") from error
    try:
        with os.fdopen(file, "wb") as out:
            return await _write(out, store, seals, options)
    except OSError as error:
        options.out.unlink(missing_ok=True)
        raise CapturesError(f"cannot write {options.out}: {error.strerror}") from error
    except BaseException:  # whoever interrupts it is not left with some prompts in the clear
        options.out.unlink(missing_ok=True)
        raise


async def _write(out: BinaryIO, store: RedisCaptures, seals: Seals, options: argparse.Namespace) -> int:
    """Write all, the oldest first within a day or so; one that cannot be opened ends it."""
    number = 0
    async for prompt in store.prompts(tenant=options.tenant, mark=_mark(options)):
        place = prompt.place
        try:
            out.write(seals.open(prompt.sealed, place) + b"\n")
        except CannotOpen as error:
            raise CapturesError(
                f"the prompt of decision {place.decision_id} of tenant {place.tenant} cannot be opened: {error}"
            ) from error
        number += 1
    out.flush()
    return number


async def _delete(store: RedisCaptures, options: argparse.Namespace, errors: Console) -> None:
    if options.tenant is None and options.caller is None:
        raise CapturesError("say whose: --tenant, --caller, or both")
    deleted = await store.delete(tenant=options.tenant, mark=_mark(options))
    errors.print(f"{deleted} prompts deleted.", highlight=False)


def _mark(options: argparse.Namespace) -> str | None:
    return None if options.caller is None else mark_of(options.caller)


def _keys(path: Path) -> tuple[SealKey, ...]:
    try:
        return key_file.parse(path.read_bytes())
    except OSError as error:
        raise CapturesError(f"cannot read {path}: {error.strerror}") from error
    except key_file.KeyFileError as error:
        raise CapturesError(f"{path}: {error}") from error


Act = Callable[[RedisCaptures, argparse.Namespace, Console], Awaitable[None]]


def _in_redis(act: Act) -> Callable[[argparse.Namespace, Console], None]:
    async def done(options: argparse.Namespace, errors: Console) -> None:
        async with _store(options) as store:
            await act(store, options, errors)

    def do(options: argparse.Namespace, errors: Console) -> None:
        asyncio.run(done(options, errors))

    return do


@asynccontextmanager
async def _store(options: argparse.Namespace) -> AsyncIterator[RedisCaptures]:
    try:
        async with (
            opened(Tls(folder=options.tls_folder), on_reload=lambda _: None) as wire,
            RedisCaptures(options.redis, timeout=_SECONDS, wire=wire) as store,
        ):
            yield store
    except StoreUnavailable as error:
        raise CapturesError(f"Redis cannot be asked: {error}") from error
    except (OSError, NotUsable) as error:
        raise CapturesError(str(error)) from error
    except ValueError as error:  # of the URL, which may hold a password
        raise CapturesError("--redis is no URL of Redis, as redis://HOST:PORT/0") from error


def _key_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key-file", type=Path, required=True, metavar="FILE", help="the file of keys")


def _redis(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--redis",
        default=os.environ.get(_URL, "redis://localhost:6379/0"),
        metavar="URL",
        help=f"where Redis is (default: ${_URL}, else redis://localhost:6379/0)",
    )
    parser.add_argument(
        "--tls-folder",
        type=Path,
        default=os.environ.get(_TLS),
        metavar="DIR",
        help=f"with tls.crt, tls.key and ca.crt, where Redis wants a certificate (default: ${_TLS})",
    )


def _tenant(text: str) -> str:
    if not re.match(TENANT_PATTERN, text):
        raise argparse.ArgumentTypeError("is no name of a tenant")
    return text
