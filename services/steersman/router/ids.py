"""Ids of decisions: UUIDs of version 7 (RFC 9562), so that they sort by time."""

from __future__ import annotations

import os
import time
from typing import Final

_VARIANT: Final = {digit: f"{8 | int(digit, 16) & 3:x}" for digit in "0123456789abcdef"}
"""Of a random digit what remains of it where the first of its bits tell the variant."""


def new_id() -> str:
    """A new id, as 32 hexadecimal digits: 48 bits of milliseconds, version and variant, 74 random bits."""
    drawn = os.urandom(10).hex()
    return f"{time.time_ns() // 1_000_000:012x}7{drawn[:3]}{_VARIANT[drawn[3]]}{drawn[4:19]}"


def made_at(identifier: str) -> float:
    """When an id was made, in seconds since the epoch."""
    return int(identifier[:12], 16) / 1000
