"""Ids of decisions: UUIDs of version 7 (RFC 9562), so that they sort by time."""

from __future__ import annotations

import secrets
import time


def new_id() -> str:
    """A new id, as 32 hexadecimal digits: 48 bits of milliseconds, version and variant, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"


def made_at(identifier: str) -> float:
    """When an id was made, in seconds since the epoch."""
    return int(identifier[:12], 16) / 1000
