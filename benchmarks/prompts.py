"""Prompts for the load: as many distinct ones as anybody asks for, of mixed length, the same in every run.

They are passages of English prose, since a classifier's time depends on words and not on characters alone; the prose
is that of Python's own help, which every machine has. How long they are stands beside every figure.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pydoc_data.topics import topics
from typing import Final

_FEWEST_CHARACTERS: Final = 30
_MOST_CHARACTERS: Final = 2000
_LONGEST_WORD: Final = 24
_BODIES: Final = 4096
"""Texts that are made once; a number in front makes as many distinct prompts of them as are needed."""
_SEED: Final = 20240626


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long prompts are, in characters."""

    shortest: int
    median: int
    longest: int


class Prompts:
    """Hands out prompts: most are short and a few are long (the logarithm of the length is uniform).

    Args:
        seed: Two sources of one seed hand out the same prompts, those of different ones share none.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        chance = random.Random(_SEED)  # noqa: S311 - no secret
        prose = _prose()
        self._bodies = [_passage(prose, chance) for _ in range(_BODIES)]
        self._numbers = itertools.count()

    def fresh(self) -> str:
        """A prompt that was never handed out before."""
        return self._text(next(self._numbers))

    def some(self, number: int) -> list[str]:
        """So many of them."""
        return [self.fresh() for _ in range(number)]

    def __iter__(self) -> Iterator[str]:
        """Fresh prompts without end."""
        while True:
            yield self.fresh()

    @property
    def lengths(self) -> Lengths:
        """How long all prompts are, whichever are handed out."""
        lengths = [len(self._text(number)) for number in range(_BODIES)]
        return Lengths(min(lengths), round(statistics.median(lengths)), max(lengths))

    def _text(self, number: int) -> str:
        return f"({self._seed}.{number}) {self._bodies[number % _BODIES]}"


def _prose() -> str:
    """All of it on one line, without what only draws lines and frames."""
    words = " ".join(topics.values()).split()
    return " ".join(word for word in words if len(word) <= _LONGEST_WORD and any(map(str.isalnum, word)))


def _passage(prose: str, chance: random.Random) -> str:
    length = round(math.exp(chance.uniform(math.log(_FEWEST_CHARACTERS), math.log(_MOST_CHARACTERS))))
    start = prose.index(" ", chance.randrange(len(prose) - _MOST_CHARACTERS - 100)) + 1
    passage = prose[start : start + length]
    return passage.rpartition(" ")[0] or passage
