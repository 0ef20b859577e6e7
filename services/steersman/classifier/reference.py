"""What a method's raw output means: its place in the reference traffic, the odds behind it, how new the query is.

Methods differ in how they come to a raw output and in nothing else, so this part is the same artefact tensors and the
same arithmetic for all that read embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.percentiles import Percentiles
from steersman.classifier.scores import Scores

Floats = npt.NDArray[np.float32]

_SCALARS = "scalars"
_SURE = 60.0
"""Log odds beyond which a probability is 0 or 1 in single precision, and exponentials would overflow."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The traffic that raw outputs are told against."""

    win_slope: float
    """Log odds that strong wins, per unit of raw output."""
    win_intercept: float
    centroids: Floats
    """Unit centres of the training data, shape `(centres, dimensions)`."""
    score_percentiles: Percentiles
    """Of raw outputs among the reference traffic."""
    novelty_percentiles: Percentiles
    """Of distances to the nearest centre among the reference traffic."""

    def tell(self, raw: Floats, *, vectors: Floats, truncated: npt.NDArray[np.bool_]) -> Scores:
        """Turn raw outputs into scores.

        Args:
            raw: One a text, rising with its need of strong.
            vectors: Unit embeddings of the texts; zero for a text without words, which is as novel as can be.
            truncated: Which texts were cut.
        """
        log_odds = np.clip(self.win_slope * raw + self.win_intercept, -_SURE, _SURE)
        novelty = self.novelty_percentiles(distance(vectors, self.centroids))
        return Scores(
            score=self.score_percentiles(raw),
            win_probability=(1.0 / (1.0 + np.exp(-log_odds))).astype(np.float32),
            novelty=np.where(vectors.any(axis=1), novelty, np.float32(1.0)),
            truncated=truncated,
        )

    def tensors(self, *scalars: float) -> dict[str, Floats]:
        """Name the parts, for a safetensors file, with a method's own scalars before those of the odds."""
        return {
            _SCALARS: np.array([*scalars, self.win_slope, self.win_intercept], dtype=np.float32),
            "centroids": self.centroids,
            "score.values": self.score_percentiles.values,
            "score.shares": self.score_percentiles.shares,
            "novelty.values": self.novelty_percentiles.values,
            "novelty.shares": self.novelty_percentiles.shares,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats]) -> Reference:
        """Rebuild from what `tensors` gave; a part that is missing is a KeyError."""
        *_, win_slope, win_intercept = map(float, tensors[_SCALARS])
        return cls(
            win_slope=win_slope,
            win_intercept=win_intercept,
            centroids=tensors["centroids"],
            score_percentiles=Percentiles(tensors["score.values"], tensors["score.shares"]),
            novelty_percentiles=Percentiles(tensors["novelty.values"], tensors["novelty.shares"]),
        )


def own_scalars(tensors: Mapping[str, Floats]) -> tuple[float, ...]:
    """The method's own scalars, as given to `Reference.tensors`."""
    *own, _, _ = map(float, tensors[_SCALARS])
    return tuple(own)


def distance(vectors: Floats, centroids: Floats) -> Floats:
    """Cosine distance of each unit vector to the nearest unit centre, in [0, 2]."""
    return np.asarray(1.0 - (vectors @ centroids.T).max(axis=1), dtype=np.float32)
