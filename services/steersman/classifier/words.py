"""The words of a batch of texts, found and hashed as arrays.

A word is a run of letters, digits and bytes beyond ASCII; everything else separates. Words get 64-bit hashes instead
of strings, so that a table of known words is asked for a whole batch without making one Python object a word, and so
that no text stays in memory. Two of a hundred thousand words share a hash with a probability below one in a billion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_WORD = 32
"""Bytes; a longer run, as in languages without spaces, is cut into pieces of this length."""

_FACTORS = np.random.default_rng(0x5EED).integers(1, 2**63, size=MAX_WORD, dtype=np.uint64) * 2 + 1
"""One odd factor a position: multilinear hashing modulo 2 ** 64 (Thorup, "High speed hashing for integers")."""
_IS_WORD = np.array([not byte.isascii() or byte.isalnum() for byte in map(chr, range(256))], dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of all texts, one after the other."""

    joined: bytes
    """The texts, with a separator after each."""
    starts: npt.NDArray[np.intp]
    """Where each word begins in `joined`."""
    ends: npt.NDArray[np.intp]
    hashes: npt.NDArray[np.uint64]
    first: npt.NDArray[np.intp]
    """Index of the first word of each text, and at last the number of words."""

    def spelling(self, index: int) -> str:
        """A word; a character that was cut at a piece's end becomes a replacement character."""
        return self.joined[self.starts[index] : self.ends[index]].decode(errors="replace")


def find(texts: Sequence[bytes]) -> Words:
    """Find the words of UTF-8 texts."""
    joined = b"".join(text + b"\n" for text in texts)
    codes = np.frombuffer(joined, dtype=np.uint8)
    edges = np.flatnonzero(np.diff(_IS_WORD[codes], prepend=np.int8(0)))
    starts, ends = _cut(edges[0::2], edges[1::2])
    lengths = ends - starts
    offsets = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
    products = codes[place + np.repeat(starts, lengths)] * _FACTORS[place]
    text_ends = np.cumsum([len(text) + 1 for text in texts])
    return Words(
        joined=joined,
        starts=starts,
        ends=ends,
        hashes=np.add.reduceat(products, offsets) if len(starts) else np.zeros(0, dtype=np.uint64),
        first=np.concatenate(([0], np.searchsorted(starts, text_ends))),
    )


def _cut(
    starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Cut runs that are longer than a word."""
    pieces = -((starts - ends) // MAX_WORD)
    if (pieces == 1).all():
        return starts, ends
    number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = np.repeat(starts, pieces) + number * MAX_WORD
    return begin, np.minimum(begin + MAX_WORD, np.repeat(ends, pieces))
