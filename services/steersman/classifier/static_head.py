"""The default method in serving: a linear head on static embeddings and text features.

Linear on purpose: with some thousands of labels from other domains than the traffic's, more capacity learns the
sources instead of the difficulty. Standardisation is folded into the weights, so that scoring is one product. Only a
head that was adapted to labels of the traffic itself has more, the bumps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.bumps import Bumps
from steersman.classifier.reference import Reference, own_scalars

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StaticHead:
    """Everything learnt. A text's raw output is `inputs @ weights + bias`, and what the bumps add."""

    weights: Floats
    """Shape `(dimensions + features,)`."""
    bias: float
    reference: Reference
    bumps: Bumps | None = None

    @property
    def input_width(self) -> int:
        """How many inputs it takes."""
        return int(self.weights.size)

    def raw(self, vectors: Floats, features: Floats) -> Floats:
        """Raw output of each text."""
        of_vectors, of_features = np.split(self.weights, [vectors.shape[1]])
        linear = vectors @ of_vectors + features @ of_features + np.float32(self.bias)
        if self.bumps is None:
            return np.asarray(linear)
        return np.asarray(linear + self.bumps.raw(np.hstack((vectors, features))))

    def tensors(self) -> dict[str, Floats]:
        """Name the parts, for a safetensors file."""
        more = {} if self.bumps is None else self.bumps.tensors()
        return {"weights": self.weights, **more, **self.reference.tensors(self.bias)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats]) -> StaticHead:
        """Rebuild a head from what `tensors` gave."""
        (bias,) = own_scalars(tensors)
        return cls(
            weights=tensors["weights"],
            bias=bias,
            reference=Reference.from_tensors(tensors),
            bumps=Bumps.from_tensors(tensors),
        )
