"""Wakes all who wait for something to change."""

from __future__ import annotations

import asyncio


class News:
    """One thing that changes. Ask for `next` before looking, and no change is missed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set at the next change."""
        return self._next

    def tell(self) -> None:
        """It has changed."""
        self._next.set()
        self._next = asyncio.Event()
