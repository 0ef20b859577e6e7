"""Fuzzing of everything that parses what others wrote."""

from __future__ import annotations

from typing import Final

from fuzz import parsers, wires
from fuzz.target import Target

TARGETS: Final[tuple[Target, ...]] = (*parsers.TARGETS, *wires.TARGETS)
