from __future__ import annotations

import asyncio
import random

import uvloop

from steersman.runtime.deadline import Deadline


def test_a_deadline_has_passed_for_whoever_was_woken_by_a_timer_set_to_it() -> None:
    seed = random.Random(0)  # noqa: S311 (lengths of timers)

    async def woken() -> list[bool]:
        passed = []
        for _ in range(100):
            deadline = Deadline.after(seed.uniform(0.001, 0.004))
            try:
                async with asyncio.timeout(deadline.remaining):
                    await asyncio.Event().wait()
            except TimeoutError:
                passed.append(deadline.passed)
        return passed

    assert all(uvloop.run(woken()))


def test_a_deadline_ahead_has_not_passed_and_one_behind_has() -> None:
    assert not Deadline.after(1.0).passed
    assert Deadline.after(-1.0).passed
    assert Deadline.after(-1.0).remaining == 0.0
