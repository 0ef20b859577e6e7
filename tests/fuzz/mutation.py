"""Inputs that are nearly right: mutations of valid ones, by bytes and by the structure of their JSON.

What is wrong in every respect is refused at the first look and finds nothing behind it. So each input is a valid one,
or one that was answered in a new way before, with a few changes. One seed gives the same inputs every time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_TOKENS: Final = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\r\n",
    b"\n\n",
    b'"',
    b"\\ud800",
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-1",
    b"18446744073709551616",
    b"9223372036854775808",
    b"0x",
    b"%00",
    b"../",
    b"::",
    b"\xe2\x80\xae",
)
_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**400,
    0.0,
    -0.0,
    0.5,
    1e308,
    5e-324,
    "",
    " ",
    "\0",
    "\u2028",
    "nan",
    "x" * 300,
    [],
    {},
    [[]],
    [None],
    {"": None},
)
_MOST_BYTES: Final = 64 * 1024
_DEPTHS: Final = (10, 200, 300, 1100)


@dataclass(slots=True)
class Mutator:
    """Makes inputs of a corpus.

    Args:
        random: Where chance comes from.
        corpus: Valid inputs; grows.
        tokens: Words of the format, to be put in anywhere.
        structured: Whether the inputs are JSON, so that values are changed as well as bytes.
    """

    random: random.Random
    corpus: list[bytes]
    tokens: Sequence[bytes] = ()
    structured: bool = False
    _seeds: int = field(init=False)

    def __post_init__(self) -> None:
        self._seeds = len(self.corpus)

    def next(self) -> bytes:
        """One input."""
        chosen = self.random.choice(self.corpus)
        if self.structured and self.random.random() < 0.6:
            chosen = self._restructured(chosen)
            if self.random.random() < 0.7:
                return chosen[:_MOST_BYTES]
        data = bytearray(chosen)
        for _ in range(1 + min(self.random.getrandbits(3), self.random.getrandbits(3))):
            self.random.choice(_CHANGES)(self, data)
        return bytes(data[:_MOST_BYTES])

    def learn(self, data: bytes, *, most: int = 2000) -> None:
        """Keep an input that was answered in a new way, in place of a random learnt one when there are too many."""
        if len(self.corpus) < most:
            self.corpus.append(data)
        else:
            self.corpus[self.random.randrange(self._seeds, most)] = data

    def _restructured(self, data: bytes) -> bytes:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return data
        for _ in range(1 + self.random.getrandbits(1)):
            value = self._changed(value)
        try:
            return json.dumps(value, ensure_ascii=self.random.random() < 0.5).encode(errors="replace")
        except (RecursionError, ValueError):  # Python writes no number of more than 4,300 digits
            return data

    def _changed(self, value: Any) -> Any:
        """The value with one of its nodes changed, at any depth."""
        if isinstance(value, dict) and value and self.random.random() < 0.8:
            key = self.random.choice(list(value))
            return self._with(value, key)
        if isinstance(value, list) and value and self.random.random() < 0.8:
            at = self.random.randrange(len(value))
            repeated = [value[at]] * self.random.choice((1, 1, 1, 2, 50))
            return [*value[:at], *map(self._changed, repeated[:1]), *repeated[1:], *value[at + 1 :]]
        return self._other(value)

    def _with(self, value: dict[str, Any], key: str) -> dict[str, Any]:
        others = {name: each for name, each in value.items() if name != key}
        match self.random.getrandbits(3):
            case 0:
                return others
            case 1:
                return {**others, self._text(key): value[key]}
            case 2:
                return {**value, self._text(key): self.random.choice(_VALUES)}
            case _:
                return {**value, key: self._changed(value[key])}

    def _other(self, value: Any) -> Any:
        match self.random.getrandbits(3):
            case 0:
                return self._nested(value)
            case 1 if isinstance(value, str):
                return self._text(value)
            case 2 if isinstance(value, int):
                return value * self.random.choice((-1, 2, 1000))
            case 2 if isinstance(value, float):
                return value * self.random.choice((-1.0, 0.001, 1000.0))
            case _:
                return self.random.choice(_VALUES)

    def _nested(self, value: Any) -> Any:
        wrap: Callable[[Any], Any] = self.random.choice((lambda x: [x], lambda x: {"a": x}))
        for _ in range(self.random.choice(_DEPTHS)):
            value = wrap(value)
        return value

    def _text(self, text: str) -> str:
        at = self.random.randint(0, len(text))
        put = self.random.choice((*_TOKENS, *self.tokens)).decode(errors="replace")
        return text[:at] + put + text[at + self.random.getrandbits(2) :]


def _flip(mutator: Mutator, data: bytearray) -> None:
    if data:
        data[mutator.random.randrange(len(data))] ^= 1 << mutator.random.randrange(8)


def _overwrite(mutator: Mutator, data: bytearray) -> None:
    if data:
        data[mutator.random.randrange(len(data))] = mutator.random.choice((0, 0x7F, 0x80, 0xFF, 0x20, 0x22))


def _insert(mutator: Mutator, data: bytearray) -> None:
    at = mutator.random.randint(0, len(data))
    data[at:at] = mutator.random.choice((*_TOKENS, *mutator.tokens))


def _delete(mutator: Mutator, data: bytearray) -> None:
    start, end = _range(mutator, data)
    del data[start:end]


def _repeat(mutator: Mutator, data: bytearray) -> None:
    start, end = _range(mutator, data)
    data[start:start] = data[start:end] * mutator.random.choice((1, 1, 2, 20, 400))
    del data[_MOST_BYTES:]


def _splice(mutator: Mutator, data: bytearray) -> None:
    other = mutator.random.choice(mutator.corpus)
    start, end = _range(mutator, other)
    at = mutator.random.randint(0, len(data))
    data[at:at] = other[start:end]


def _cut(mutator: Mutator, data: bytearray) -> None:
    del data[mutator.random.randint(0, len(data)) :]


def _noise(mutator: Mutator, data: bytearray) -> None:
    at = mutator.random.randint(0, len(data))
    data[at:at] = mutator.random.randbytes(mutator.random.randint(1, 8))


def _range(mutator: Mutator, data: bytes | bytearray) -> tuple[int, int]:
    start = mutator.random.randint(0, len(data))
    return start, min(len(data), start + (1 << mutator.random.randrange(8)))


_CHANGES: Final = (_flip, _overwrite, _insert, _insert, _delete, _repeat, _splice, _cut, _noise)
