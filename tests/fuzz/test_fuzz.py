"""The short part of `make fuzz`: a few seeded inputs for everything that parses."""

from __future__ import annotations

import pytest

from fuzz.everything import TARGETS
from fuzz.target import LONGEST_SECONDS, MOST_GROWTH, Target, fuzz

pytestmark = pytest.mark.slow

CASES = {1: 600, 16: 64}
"""By inputs at once: what has a wire is slower."""
SLOW = frozenset({"policy file", "key file", "capture keys", "engine's response"})


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
async def test_whatever_comes_is_read_or_refused_in_our_own_words(target: Target) -> None:
    cases = 60 if target.name in SLOW else CASES[target.streams]
    report = await fuzz(target, cases=cases, seed=1, most_failures=5)
    assert not report.failures, "\n".join(map(str, report.kinds))
    assert report.cases == cases
    assert report.slowest < LONGEST_SECONDS
    assert report.growth < MOST_GROWTH
    assert len(report.outcomes) > 1, "the inputs are all answered alike, so that they find nothing"
