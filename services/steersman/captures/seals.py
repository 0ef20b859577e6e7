"""Seals captured prompts, so that only who has the key can read them, and only in the place where they belong.

AES-GCM with a key of 256 bits and a random nonce. Which key it was stands before the sealed bytes, so that keys can be
changed: the newest seals, and all that there are open. Whose the record is, its tenant's, its caller's and its
decision's, is bound into the seal; a record that is moved to another tenant does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steersman.captures.place import Place

KEY_BYTES: Final = 32
_FORMAT: Final = 1
_NONCE_BYTES: Final = 12


class CannotOpen(Exception):
    """A record cannot be read; says why, and nothing of what it holds."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """A key.

    Args:
        id: Its name, which is no secret and stands in each record that it seals.
        secret: 32 random bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        """A new one."""
        return cls(secrets.token_hex(4), secrets.token_bytes(KEY_BYTES))


class Seals:
    """Seals and opens.

    Args:
        keys: The first seals; all open.
    """

    def __init__(self, keys: Iterable[SealKey]) -> None:
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}
        self._current = next(iter(self._ciphers))

    def seal(self, content: bytes, place: Place) -> bytes:
        """The content as nobody can read it without the key, and nobody take for another's."""
        name, nonce = self._current.encode(), secrets.token_bytes(_NONCE_BYTES)
        head = bytes((_FORMAT, len(name))) + name
        return head + nonce + self._ciphers[self._current].encrypt(nonce, content, head + place.bound)

    def open(self, sealed: bytes, place: Place) -> bytes:
        """The content of a record that was found in a place.

        Raises:
            CannotOpen: There is no such key, or the record is not what was sealed there.
        """
        if len(sealed) < 2 + _NONCE_BYTES or sealed[0] != _FORMAT:
            raise CannotOpen("it is no record of this version")
        end = 2 + sealed[1]
        name = sealed[2:end].decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise CannotOpen(f"it was sealed with key {name!r}, which is not in the key file")
        try:
            return cipher.decrypt(
                sealed[end : end + _NONCE_BYTES], sealed[end + _NONCE_BYTES :], sealed[:end] + place.bound
            )
        except (InvalidTag, ValueError):
            raise CannotOpen(
                f"key {name!r} does not open it: the key file has another one of that name, or the record was"
                " changed, or belongs to another tenant or caller"
            ) from None
