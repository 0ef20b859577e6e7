"""A fake classifier: it scores by a rule of the test's choice, and hangs, fails and counts on demand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fakes.gate import Gate
from steersman.router.model import Assessment, ClassifierId, Reason
from steersman.router.ports import ClassifierFailure

IDENTITY: Final = ClassifierId("fake", "1", "c0ffee")


def assessment(
    score: float = 0.5,
    *,
    win_probability: float = math.nan,
    novelty: float = 0.25,
    truncated: bool = False,
) -> Assessment:
    """An assessment of which a test says what matters to it; all numbers but the score are exact as float32."""
    return Assessment(score, win_probability, novelty, truncated)


@dataclass
class FakeClassifier:
    """Implements `steersman.router.ports.Classifier`; its knobs are plain attributes."""

    identity: ClassifierId | None = IDENTITY
    score: Callable[[str], float] = field(default=lambda _text: 0.5)
    novelty: Callable[[str], float] = field(default=lambda _text: 0.25)
    failure: Reason | None = None
    """Raised instead of an answer."""
    bug: Exception | None = None
    """Raised instead of an answer, though no classifier may."""
    timeout: float | None = None
    """Seconds after which a closed gate is CLASSIFIER_TIMEOUT."""
    gate: Gate = field(default_factory=Gate)
    slow_to_leave: Gate = field(default_factory=Gate)
    """Where a call that was cancelled waits before it ends."""
    asked: list[str] = field(default_factory=list)
    cancelled: int = 0

    async def assess(self, text: str) -> Assessment:
        """See `steersman.router.ports.Classifier.assess`."""
        self.asked.append(text)
        try:
            async with asyncio.timeout(self.timeout):
                await self.gate.passed()
        except TimeoutError:
            raise ClassifierFailure(Reason.CLASSIFIER_TIMEOUT) from None
        except asyncio.CancelledError:
            self.cancelled += 1
            await self.slow_to_leave.passed()
            raise
        if self.bug is not None:
            raise self.bug
        if self.failure is not None:
            raise ClassifierFailure(self.failure)
        return assessment(self.score(text), novelty=self.novelty(text))
