"""The file of API keys: YAML without anything secret in it, which `steersman keys` writes and routers follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from steersman.identity.keys import ApiKey, Change, Keyring
from steersman.runtime import told_file
from steersman.runtime.settings import Group

TENANT_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"

_HEAD: Final = (
    "# API keys of Steersman: hashes only. Written by `steersman keys`; routers follow changes at once.\n"
)


_MOST_CHANGES: Final = 500
"""Entries of the history that are kept, the newest; a Secret holds a mebibyte."""


class KeyFileError(ValueError):
    """The file cannot be used; says where and why."""


class _Key(Group):
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{4,32}$")]
    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    note: str = ""


class _Change(Group):
    at: AwareDatetime
    by: str
    action: Literal["create", "rotate", "revoke"]
    id: str


class _File(Group):
    keys: Annotated[tuple[_Key, ...], Field(default=())]
    history: Annotated[tuple[_Change, ...], Field(default=())]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        told_file.check_distinct([key.id for key in self.keys])
        return self


def parse(text: bytes) -> Keyring:
    """Read a file.

    Raises:
        KeyFileError: It is not valid; every fault is named, and nothing of what the file holds.
    """
    try:
        file = told_file.read(text, _File)
    except told_file.Faulty as error:
        raise KeyFileError(str(error)) from error
    return Keyring.of(
        (ApiKey(**key.model_dump()) for key in file.keys),
        (Change(**change.model_dump()) for change in file.history),
    )


def render(keys: Iterable[ApiKey], history: Sequence[Change] = ()) -> bytes:
    """The file of these keys, and of what was done to them."""
    content: dict[str, Any] = {"keys": [_row(key) for key in keys]}
    if history:
        content["history"] = [_change(each) for each in history[-_MOST_CHANGES:]]
    return (_HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)).encode()


def _row(key: ApiKey) -> dict[str, Any]:
    kept = _Key(
        id=key.id,
        tenant=key.tenant,
        sha256=key.sha256,
        created=key.created,
        expires=key.expires,
        revoked=key.revoked,
        note=key.note,
    )
    return kept.model_dump(mode="json", exclude_defaults=True)


def _change(change: Change) -> dict[str, Any]:
    kept = _Change.model_validate(change, from_attributes=True)
    return kept.model_dump(mode="json")
