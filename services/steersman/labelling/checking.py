"""Answers held against a reference: what can be told right or wrong needs no judge.

An answer in which nothing can be found to compare is wrong, and counted, since a model that does not say which choice
it means has not answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from steersman.classifier.errors import DataError
from steersman.labelling.answering import Pair
from steersman.labelling.model import TIERS, Tier

_NUMBER: Final = re.compile(r"(?:(?<![\w)])-)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")
_ANNOUNCED: Final = re.compile(
    r"(?:####|\\boxed\{|\banswers?\b(?:[^\n.:=]{0,60}?\b(?:is|are)\b|(?=\W*[:=]))\W*?[:=]?)\s*(?=(?P<said>[^\n}]*))",
    re.IGNORECASE,
)
_LETTER_ALONE: Final = re.compile(r"[\s*(\[]*([A-Za-z])[\s*)\].:]*")
_LETTER_FIRST: Final = re.compile(r"[\s*(\[]*([A-Z])(?:[)\].:*]|\s*\n)")
_LETTER_SAID: Final = re.compile(r"[\s*(\[{$]*(?:(?:option|choice)\s+)?[\s*(\[]*([A-Z])\b(?!')", re.ASCII)
_LETTER_PRAISED: Final = re.compile(r"\b([A-Z])[)\]*]*\s+is\s+(?:the\s+)?(?:correct|right|best)\b")
_CHOICES: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_EDGES: Final = " \t\n.,;:!?\"'`*"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of checking."""

    scores: Mapping[str, Mapping[Tier, float]]
    """1 for right and 0 for wrong, by query and tier."""
    silent: Mapping[Tier, int]
    """Answers in which there was nothing to compare."""
    without_reference: int
    """Queries that have no reference."""


def checked(pairs: Iterable[Pair], *, by: str, reference: str) -> Checked:
    """Compare both tiers' answers with a column of the queries.

    Args:
        pairs: Queries that both tiers have answered.
        by: One of `KINDS`.
        reference: Name of the column.

    Raises:
        DataError: A reference is none of that kind.
    """
    finds = KINDS[by]
    scores: dict[str, Mapping[Tier, float]] = {}
    silent = dict.fromkeys(TIERS, 0)
    without = 0
    for pair in pairs:
        if pair.query.row.get(reference) is None:
            without += 1
            continue
        wanted = _wanted(pair.query.row[reference], by, reference)
        found = {tier: finds.in_answer(pair.answers[tier].reply.text, wanted) for tier in TIERS}
        for tier in TIERS:
            silent[tier] += found[tier] is None
        scores[pair.query.id] = {tier: float(found[tier] == wanted) for tier in TIERS}
    return Checked(scores, silent, without)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to compare."""

    of_reference: Callable[[str], str | None]
    """The reference as it is compared; None where it is none of this kind."""
    in_answer: Callable[[str, str], str | None]
    """What an answer says, told the reference; None where it says nothing of the kind."""


def letter(text: str) -> str | None:
    """The choice that an answer names: alone, where it announces its answer, or at its beginning."""
    if found := _LETTER_ALONE.fullmatch(text):
        return found[1].upper()
    announced = [found[1] for said in _said(text) if (found := _LETTER_SAID.match(said))]
    if announced:
        return announced[-1]
    found = _LETTER_PRAISED.search(text) or _LETTER_FIRST.match(text)
    return found[1] if found else None


def number(text: str) -> str | None:
    """The last number that an answer announces as its answer, or else its last one; `1,000.0` is `1000`."""
    announced = [found for said in _said(text) if (found := _numbers(said))]
    numbers = announced[-1][:1] if announced else _numbers(text)[-1:]
    return numbers[0] if numbers else None


def plain(text: str) -> str:
    """A text without differences of case and white space, nor punctuation at its ends."""
    return " ".join(text.casefold().split()).strip(_EDGES)


def _said(text: str) -> Iterator[str]:
    return (found["said"] for found in _ANNOUNCED.finditer(text))


def _numbers(text: str) -> list[str]:
    return [_canonical(found) for found in _NUMBER.findall(text) if found]


def _canonical(digits: str) -> str:
    return format(Decimal(digits.replace(",", "")).normalize(), "f")


def _letter_of_reference(text: str) -> str | None:
    if text.isdecimal() and int(text) < len(_CHOICES):
        return _CHOICES[int(text)]
    return letter(text)


def _contained(text: str, wanted: str) -> str:
    answer = plain(text)
    return wanted if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", answer) else answer


KINDS: Final[Mapping[str, Kind]] = {
    "exact": Kind(plain, lambda text, _: plain(text)),
    "contains": Kind(plain, _contained),
    "letter": Kind(_letter_of_reference, lambda text, _: letter(text)),
    "number": Kind(number, lambda text, _: number(text)),
}
"""By name."""


def _wanted(reference: Any, by: str, column: str) -> str:
    wanted = KINDS[by].of_reference(str(reference))
    if not wanted:
        raise DataError(f"a query's '{column}' holds nothing to compare by {by}")
    return wanted
