"""The words of a text, as the embeddings see them.

A word is a run of letters, digits and bytes beyond ASCII; everything else separates.
"""

from __future__ import annotations

import re
from typing import Final

MAX_WORD: Final = 32
"""Bytes; a longer run, as in languages without spaces, is cut into pieces of this length."""

_WORD: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]{1,%d}" % MAX_WORD)


def find(text: bytes) -> list[bytes]:
    """The words of a UTF-8 text, in order; a cut may leave a part of a character at a piece's end."""
    return _WORD.findall(text)
