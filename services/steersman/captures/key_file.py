"""The file of keys that seal captured prompts: YAML, which `steersman captures rotate` writes and routers follow.

All of it is secret. In a cluster it is a Secret that is mounted into routers, and into nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import AwareDatetime, Base64Bytes, Field, StringConstraints, model_validator

from steersman.captures.seals import KEY_BYTES, SealKey
from steersman.runtime import told_file
from steersman.runtime.settings import Group

_HEAD: Final = (
    "# Keys of captured prompts: SECRET. Written by `steersman captures rotate`; the first seals, all open\n"
)


class KeyFileError(ValueError):
    """The file cannot be used; says where and why, and nothing of what it holds."""


class _Key(Group):
    id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
    created: AwareDatetime | None = None
    key: Base64Bytes
    """32 bytes in Base64."""

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"key {self.id} must have {KEY_BYTES} bytes, in Base64")
        return self


class _File(Group):
    keys: Annotated[tuple[_Key, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        told_file.check_distinct([key.id for key in self.keys])
        return self


def parse(text: bytes) -> tuple[SealKey, ...]:
    """Read a file: the keys in their order, of which there is at least one.

    Raises:
        KeyFileError: It is not valid.
    """
    return tuple(SealKey(key.id, key.key) for key in _read(text).keys)


def with_new(text: bytes | None, key: SealKey, *, created: datetime) -> bytes:
    """A file in which a new key seals from now on, and those before still open.

    Args:
        text: The file before; None where there is none.
        key: The new key.
        created: When it was made.

    Raises:
        KeyFileError: The file before is not valid.
    """
    before: Sequence[_Key] = () if text is None else _read(text).keys
    rows = [_row(key.id, created, key.secret), *(_row(each.id, each.created, each.key) for each in before)]
    return (_HEAD + yaml.safe_dump({"keys": rows}, sort_keys=False)).encode()


def _read(text: bytes) -> _File:
    try:
        return told_file.read(text, _File)
    except told_file.Faulty as error:
        raise KeyFileError(str(error)) from error


def _row(identifier: str, created: datetime | None, secret: bytes) -> dict[str, Any]:
    when = {} if created is None else {"created": created.isoformat(timespec="seconds")}
    return {"id": identifier, **when, "key": base64.b64encode(secret).decode()}
