"""How much of a text a classifier reads, in one place for training and serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_CHARACTERS = 8192
"""Characters that are read, from the beginning. It bounds the time and memory that one text can take."""


@dataclass(frozen=True, slots=True)
class BoundedTexts:
    """A batch of texts as they are read."""

    utf8: tuple[bytes, ...]
    truncated: npt.NDArray[np.bool_]
    """Which were longer than the bound."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> BoundedTexts:
        """Cut and encode; lone surrogates, which no UTF-8 text holds, become question marks."""
        return cls(
            utf8=tuple(text[:MAX_CHARACTERS].encode(errors="replace") for text in texts),
            truncated=np.array([len(text) > MAX_CHARACTERS for text in texts], dtype=np.bool_),
        )
