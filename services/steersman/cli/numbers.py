"""Numbers of a command line, refused with what they should have been."""

from __future__ import annotations

import argparse
import math


def part(text: str) -> float:
    """A part of a whole: a share, a score."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("must be in 0..1")
    return number


def positive(text: str) -> float:
    """A price or another amount above nothing."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def count(text: str) -> int:
    """How many, one at least."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def seed(text: str) -> int:
    """What random numbers start from."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be below 0")
    return number
