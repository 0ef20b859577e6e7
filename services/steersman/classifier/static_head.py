"""The default method in serving: a linear head on static embeddings and text features.

Linear on purpose: with some thousands of labels from other domains than the traffic's, more capacity learns the
sources instead of the difficulty. Standardisation is folded into the weights, so that scoring is one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier import text_features
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embeddings import StaticEmbeddings
from steersman.classifier.errors import ArtefactError
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.scores import Scores

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StaticHead:
    """Everything learnt. A text's raw output is `inputs @ weights + bias`."""

    weights: Floats
    """Shape `(dimensions + features,)`."""
    bias: float
    win_slope: float
    """Log odds that strong wins, per unit of raw output."""
    win_intercept: float
    centroids: Floats
    """Unit centres of the training data, shape `(centres, dimensions)`."""
    score_percentiles: Percentiles
    """Of raw outputs among the reference traffic."""
    novelty_percentiles: Percentiles
    """Of distances to the nearest centre among the reference traffic."""

    def tensors(self) -> dict[str, Floats]:
        """Name the parts, for a safetensors file."""
        return {
            "weights": self.weights,
            "scalars": np.array([self.bias, self.win_slope, self.win_intercept], dtype=np.float32),
            "centroids": self.centroids,
            "score.values": self.score_percentiles.values,
            "score.shares": self.score_percentiles.shares,
            "novelty.values": self.novelty_percentiles.values,
            "novelty.shares": self.novelty_percentiles.shares,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Floats]) -> StaticHead:
        """Rebuild a head from what `tensors` gave.

        Raises:
            ArtefactError: A part is missing.
        """
        try:
            bias, win_slope, win_intercept = map(float, tensors["scalars"])
            return cls(
                weights=tensors["weights"],
                bias=bias,
                win_slope=win_slope,
                win_intercept=win_intercept,
                centroids=tensors["centroids"],
                score_percentiles=Percentiles(tensors["score.values"], tensors["score.shares"]),
                novelty_percentiles=Percentiles(tensors["novelty.values"], tensors["novelty.shares"]),
            )
        except KeyError as error:
            raise ArtefactError(f"the head has no tensor {error}") from error


class StaticHeadScorer:
    """A head and the embeddings that it was trained on.

    Raises:
        ArtefactError: The head does not fit the embeddings and the text features.
    """

    def __init__(self, *, head: StaticHead, embeddings: StaticEmbeddings) -> None:
        expected = embeddings.dimensions + len(text_features.NAMES)
        if head.weights.shape != (expected,):
            raise ArtefactError(f"the head has {head.weights.size} weights where {expected} are needed")
        self._head = head
        self._embeddings = embeddings
        self._of_vectors, self._of_features = np.split(head.weights, [embeddings.dimensions])

    def score(self, texts: Sequence[str]) -> Scores:
        """Score a batch; most of the time goes to words that were not met before."""
        bounded = BoundedTexts.of(texts)
        vectors, features = self._embeddings.embed(bounded.utf8), text_features.extract(bounded.utf8)
        raw: Floats = vectors @ self._of_vectors + features @ self._of_features + np.float32(self._head.bias)
        log_odds = self._head.win_slope * raw + self._head.win_intercept
        novelty = self._head.novelty_percentiles(distance(vectors, self._head.centroids))
        return Scores(
            score=self._head.score_percentiles(raw),
            win_probability=(1.0 / (1.0 + np.exp(-log_odds))).astype(np.float32),
            novelty=np.where(vectors.any(axis=1), novelty, np.float32(1.0)),
            truncated=bounded.truncated,
        )


def distance(vectors: Floats, centroids: Floats) -> Floats:
    """Cosine distance of each unit vector to the nearest unit centre, in [0, 2]."""
    return np.asarray(1.0 - (vectors @ centroids.T).max(axis=1), dtype=np.float32)
