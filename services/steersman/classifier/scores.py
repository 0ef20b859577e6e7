"""What a classifier says about a batch of texts, whatever its method.

The four arrays are the output tensors of every model in the repository, in the same order as the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Scores:
    """One entry a text in each array, shape `(texts,)`."""

    score: npt.NDArray[np.float32]
    """Percentile in [0, 1] among the reference traffic, by need of the strong model."""
    win_probability: npt.NDArray[np.float32]
    """The model's own estimate that the strong answer is better; NaN where the method has none."""
    novelty: npt.NDArray[np.float32]
    """Percentile in [0, 1] of the distance to the training data; 1 for a text that has no token."""
    truncated: npt.NDArray[np.bool_]
    """Whether only the beginning of the text was read."""

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Batches, one after the other; at least one."""
        return cls(
            score=np.concatenate([part.score for part in parts]),
            win_probability=np.concatenate([part.win_probability for part in parts]),
            novelty=np.concatenate([part.novelty for part in parts]),
            truncated=np.concatenate([part.truncated for part in parts]),
        )


class Scorer(Protocol):
    """A loaded classifier."""

    def score(self, texts: Sequence[str]) -> Scores:
        """Score a batch. Any string is scored, the empty one too."""
