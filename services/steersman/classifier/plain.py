"""Serving of the methods that read no embeddings: they know no training data, so nothing is new to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.scores import Scores

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PlainScorer:
    """Scores by the bytes alone."""

    place: Callable[[Sequence[bytes]], Floats]
    """Percentiles of UTF-8 texts."""

    def score(self, texts: Sequence[str]) -> Scores:
        """Score a batch."""
        bounded = BoundedTexts.of(texts)
        return Scores(
            score=self.place(bounded.utf8),
            win_probability=np.full(len(texts), np.nan, dtype=np.float32),
            novelty=np.zeros(len(texts), dtype=np.float32),
            truncated=bounded.truncated,
        )
