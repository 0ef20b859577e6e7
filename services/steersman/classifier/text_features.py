"""What a text shows on its surface: length, digits, brackets, marks of code and mathematics.

A mean of word embeddings knows the topic and forgets the form, and some of what makes a query hard is form.
Only bytes are counted, because this runs for every query. Regular expressions for cue words and searches for code
blocks or lists of choices cost more than all else here and added nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_BYTE_CLASSES: dict[str, bytes] = {
    "digits": b"0123456789",
    "capitals": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "spaces": b" ",
    "newlines": b"\n",
    "operators": b"+-*/<>^%=|~",
    "round_brackets": b"()",
    "code_marks": b"{}[];_`#&@",
    "latex_marks": b"\\$",
    "commas_stops": b",.:!",
    "question_marks": b"?",
    "quotes": b"\"'",
    "beyond_ascii": bytes(range(0x80, 0x100)),
}
_REST = len(_BYTE_CLASSES)
_COLUMN = {name: column for column, name in enumerate(_BYTE_CLASSES)}
_LONGEST_WORD = 32.0
"""Bytes; longer means are texts without spaces, where the mean says no more."""
_PRIOR_BYTES = 64
"""Added to a length before a share of it is taken, or the one question mark of a short text would weigh most."""

NAMES: tuple[str, ...] = (
    "log_bytes",
    "log_words",
    "log_lines",
    "log_digits",
    "log_sentences",
    "word_length",
    *(f"share_{name}" for name in _BYTE_CLASSES),
)
"""Names of the features, in the order of the columns."""


def extract(texts: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Describe each UTF-8 text by one row of `NAMES` columns, none of them scaled."""
    lengths = np.fromiter(map(len, texts), dtype=np.intp, count=len(texts))
    counts = np.array([_count(text) for text in texts], dtype=np.intp).reshape(-1, _REST)
    newlines = counts[:, _COLUMN["newlines"]]
    words = counts[:, _COLUMN["spaces"]] + newlines + 1
    sentences = counts[:, _COLUMN["commas_stops"]] + counts[:, _COLUMN["question_marks"]]
    amounts = np.stack((lengths, words, newlines, counts[:, _COLUMN["digits"]], sentences), axis=1)
    word_length = np.minimum(lengths / words, _LONGEST_WORD)
    shares = counts / (lengths + _PRIOR_BYTES)[:, None]
    return np.hstack((np.log1p(amounts), word_length[:, None], shares), dtype=np.float32)


def _class_of_byte() -> bytes:
    classes = bytearray([_REST]) * 256
    for number, members in enumerate(_BYTE_CLASSES.values()):
        for member in members:
            classes[member] = number
    return bytes(classes)


_CLASS_OF_BYTE = _class_of_byte()


def _count(text: bytes) -> list[int]:
    """How many bytes of each class a text has, without the bytes that belong to none."""
    return list(map(text.translate(_CLASS_OF_BYTE).count, range(_REST)))
