"""API keys: how they are made, and what is kept of them.

A key is `sk-steersman-ID-SECRET`. The id is no secret: it names the key in lists, logs and revocations. Of the secret
only the SHA-256 is kept. It has 256 random bits, so that nobody can try them all, and a slow hash with a salt, which
passwords need, would only slow every request down.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

PREFIX: Final = "sk-steersman-"
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_NOBODYS: Final = hashlib.sha256(b"").hexdigest()
"""What a key without an owner is compared with, so that it takes as long as one with an owner; no key has no secret."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key."""

    id: str
    tenant: str
    """Whose requests are made with it."""
    sha256: str
    """Of the secret, in hex."""
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    """Kept afterwards, so that a list shows what there was."""
    note: str = ""

    def works_at(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired.

        Of one that is revoked the time is for people: it is that of another machine, whose clock may go ahead.
        """
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed which key when."""

    at: datetime
    by: str
    """Whoever ran the command, as it was told or as the machine knows it."""
    action: str
    """`create`, `rotate` or `revoke`."""
    id: str
    """The key's; of a rotation that of the new one."""


def make(
    tenant: str, *, created: datetime, expires: datetime | None = None, note: str = ""
) -> tuple[str, ApiKey]:
    """A new key: the text that its owner gets, once, and what is kept of it."""
    identifier, secret = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    kept = ApiKey(identifier, tenant, _digest(secret), created, expires, note=note)
    return f"{PREFIX}{identifier}-{secret}", kept


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys that there are.

    Args:
        keys: Each of another id.
        history: What was done to them, the newest last.
    """

    keys: tuple[ApiKey, ...] = ()
    history: tuple[Change, ...] = ()
    _by_id: dict[str, ApiKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {key.id: key for key in self.keys})

    @classmethod
    def of(cls, keys: Iterable[ApiKey], history: Iterable[Change] = ()) -> Keyring:
        """A ring of these."""
        return cls(tuple(keys), tuple(history))

    def owner(self, text: str) -> ApiKey | None:
        """The key that this is the text of, whether it still works or not.

        Takes the same time whether there is such a key or not, as far as the secret is concerned.
        """
        identifier, _, secret = text.removeprefix(PREFIX).partition("-")
        known = self._by_id.get(identifier) if text.startswith(PREFIX) else None
        expected = _NOBODYS if known is None else known.sha256
        alike = hmac.compare_digest(_digest(secret), expected)
        return known if alike else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
