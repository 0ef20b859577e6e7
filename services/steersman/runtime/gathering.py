"""Batches that make themselves: what has come while the last batch was under way is the next one.

The first of a quiet time goes at once and alone; under load batches grow, and with them what one round trip does.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def gathered(queue: asyncio.Queue[T], most: int) -> list[T]:
    """What waits in a queue: at least one, for which it waits, and at most `most`."""
    batch = [await queue.get()]
    await asyncio.sleep(0)  # whoever is about to ask in this turn of the loop asks in this batch
    while len(batch) < most and not queue.empty():
        batch.append(queue.get_nowait())
    return batch
