"""`steersman keys`: API keys made, listed, rotated and revoked in the file that routers follow."""

from __future__ import annotations

import argparse
import getpass
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from steersman.classifier import whole_files
from steersman.cli.options import add_action
from steersman.identity import key_file
from steersman.identity.key_file import KeyFileError
from steersman.identity.keys import ApiKey, Change, Keyring, make

NAME = "keys"
HELP = "make, list, rotate and revoke the API keys of callers"
DESCRIPTION = """\
Make, list, rotate and revoke API keys. They are kept in a file, as hashes: a key itself is shown once, when it is made,
on standard output and nowhere else. Routers that are told of the file (STEERSMAN_IDENTITY__KEY_FILE) follow its changes
within a second; in a cluster it is a Secret, which they follow too.
"""
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = _action(actions, "create", "make a key", _create)
    create.add_argument("--tenant", required=True, type=_tenant, metavar="NAME", help="whose key it is")
    create.add_argument("--note", default="", metavar="TEXT", help="what it is for; kept with it")
    _action(actions, "list", "show what keys there are", _list)
    rotate = _action(actions, "rotate", "make a key that takes the place of another", _rotate)
    rotate.add_argument("id", metavar="ID", help="of the old key, as `list` shows it")
    rotate.add_argument(
        "--grace",
        type=_time,
        default=timedelta(days=1),
        metavar="TIME",
        help="how long the old one still works, as 30m, 12h, 7d (default: 1d)",
    )
    for parsed in (create, rotate):
        parsed.add_argument(
            "--expires-in",
            type=_time,
            metavar="TIME",
            help="how long it works, as 12h, 90d (default: for ever)",
        )
    revoke = _action(actions, "revoke", "end a key at once", _revoke)
    revoke.add_argument("id", metavar="ID", help="of the key, as `list` shows it")
    for parsed in (create, rotate, revoke):
        parsed.add_argument(
            "--by",
            default="",
            metavar="NAME",
            help="who does it; kept with the key (default: this user and machine)",
        )
    _action(actions, "history", "show who did what to which key", _history)


def run(options: argparse.Namespace, errors: Console) -> None:
    """Do what was asked, and print a new key, or the list, on standard output."""
    options.act(options, errors)


def _create(options: argparse.Namespace, errors: Console) -> None:
    ring = _read(options.file) if options.file.exists() else Keyring()
    now = _now()
    text, key = make(options.tenant, created=now, expires=_end(now, options.expires_in), note=options.note)
    _write(options, ring, (*ring.keys, key), _change(options, now, "create", key))
    _show(text, key, errors)


def _rotate(options: argparse.Namespace, errors: Console) -> None:
    ring = _read(options.file)
    old, now = _named(ring, options.id), _now()
    if not old.works_at(now):
        raise KeyFileError(
            f"key {old.id} does not work any more; make a new one with `steersman keys create`"
        )
    text, key = make(old.tenant, created=now, expires=_end(now, options.expires_in), note=old.note)
    ends = min(now + options.grace, old.expires or datetime.max.replace(tzinfo=UTC))
    keys = (*_with(ring, replace(old, expires=ends)), key)
    _write(options, ring, keys, _change(options, now, "rotate", key))
    _show(text, key, errors)
    errors.print(f"The old key {old.id} works until {_told(ends)}.", highlight=False)


def _revoke(options: argparse.Namespace, errors: Console) -> None:
    ring = _read(options.file)
    key = _named(ring, options.id)
    if key.revoked is not None:
        raise KeyFileError(f"key {key.id} was revoked at {_told(key.revoked)}")
    now = _now()
    _write(options, ring, _with(ring, replace(key, revoked=now)), _change(options, now, "revoke", key))
    errors.print(f"Key {key.id} of {key.tenant} is revoked.", highlight=False)


def _list(options: argparse.Namespace, _: Console) -> None:
    table, now = Table(), _now()
    for heading in ("id", "tenant", "state", "created", "expires", "note"):
        table.add_column(heading)
    for key in _read(options.file).keys:
        expires = "" if key.expires is None else _told(key.expires)
        table.add_row(key.id, key.tenant, _state(key, now), _told(key.created), expires, key.note)
    Console(soft_wrap=True).print(table, markup=False)


def _history(options: argparse.Namespace, _: Console) -> None:
    table = Table("when", "who", "what", "key")
    for each in _read(options.file).history:
        table.add_row(_told(each.at), each.by, each.action, each.id)
    Console(soft_wrap=True).print(table, markup=False)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    act: Callable[[argparse.Namespace, Console], None],
) -> argparse.ArgumentParser:
    parser = add_action(actions, name, text, act)
    parser.add_argument("--file", type=Path, required=True, metavar="FILE", help="the file of keys")
    return parser


def _show(text: str, key: ApiKey, errors: Console) -> None:
    errors.print(
        f"Key {key.id} of {key.tenant}. This is the only time that it is shown:",
        markup=False,
        highlight=False,
    )
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def _read(path: Path) -> Keyring:
    try:
        return key_file.parse(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from error


def _write(options: argparse.Namespace, before: Keyring, keys: tuple[ApiKey, ...], change: Change) -> None:
    """Write the keys, and who has changed them."""
    path: Path = options.file
    try:
        whole_files.replace_all({path: key_file.render(keys, (*before.history, change))})
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from error


def _change(options: argparse.Namespace, now: datetime, action: str, key: ApiKey) -> Change:
    return Change(now, options.by or _whoever(), action, key.id)


def _whoever() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _named(ring: Keyring, identifier: str) -> ApiKey:
    for key in ring.keys:
        if key.id == identifier:
            return key
    raise KeyFileError(f"there is no key {identifier}; `steersman keys list` shows those that there are")


def _with(ring: Keyring, changed: ApiKey) -> tuple[ApiKey, ...]:
    return tuple(changed if key.id == changed.id else key for key in ring.keys)


def _state(key: ApiKey, now: datetime) -> str:
    if key.works_at(now):
        return "works"
    return "expired" if key.revoked is None else "revoked"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _end(now: datetime, lifetime: timedelta | None) -> datetime | None:
    return None if lifetime is None else now + lifetime


def _told(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _time(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError("must be a number of minutes, hours or days, as 30m, 12h, 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _tenant(text: str) -> str:
    if not re.match(key_file.TENANT_PATTERN, text):
        raise argparse.ArgumentTypeError(
            "must be of lower case letters, digits, dots, dashes and underscores"
        )
    return text
