"""The keyed hash that stands for what a caller wrote or is: nobody without the secret can tell from it what that was.

Keyed BLAKE2b (RFC 7693, section 2.9), a message authentication code like HMAC-SHA-256, and a third of its cost: every
request needs three (docs/adr/0030-keyed-blake2b.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

_SIZE: Final = 32


class KeyedHash:
    """Hashes with one secret.

    Args:
        secret: Of any length.
    """

    def __init__(self, secret: bytes) -> None:
        self._begun = blake2b(key=blake2b(secret).digest(), digest_size=_SIZE)

    def of(self, parts: Iterable[str]) -> bytes:
        """The hash of texts, of which all but the last are free of NUL: 32 bytes.

        NUL stands between them, so that no two lists of as many parts give one message.
        """
        hashing = self._begun.copy()
        hashing.update("\0".join(parts).encode())
        return hashing.digest()
