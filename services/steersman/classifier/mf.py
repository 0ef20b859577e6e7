"""Matrix factorisation in serving: RouteLLM's bilinear score (arXiv 2406.18665, section 4.2).

    delta(M, q) = w2 . (v_M * (W1' x_q + b))

The score is linear in the model's vector, so the mean strength of several models that stand for a tier is the
strength of their mean vector, and the log odds that strong beats weak are one product for a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steersman.classifier.reference import Reference

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FactorHead:
    """Everything learnt."""

    projection: Floats
    """W1, shape `(inputs, width)`; inputs are the embedding, then the text features."""
    offset: Floats
    """b, shape `(width,)`."""
    models: Floats
    """One v_M a row, times w2, shape `(models, width)`."""
    contrast: Floats
    """Part of each model in the difference of the tiers: positive for strong, negative for weak, each summing to 1."""
    reference: Reference

    @property
    def input_width(self) -> int:
        """How many inputs it takes."""
        return len(self.projection)

    def raw(self, vectors: Floats, features: Floats) -> Floats:
        """Log odds that strong beats weak on each text."""
        direction = self.contrast @ self.models
        of_vectors, of_features = np.split(self.projection @ direction, [vectors.shape[1]])
        return np.asarray(vectors @ of_vectors + features @ of_features + self.offset @ direction)

    def tensors(self) -> dict[str, Floats]:
        """Name the parts, for a safetensors file."""
        return {
            "projection": self.projection,
            "offset": self.offset,
            "models": self.models,
            "contrast": self.contrast,
            **self.reference.tensors(),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats]) -> FactorHead:
        """Rebuild a head from what `tensors` gave."""
        return cls(
            projection=tensors["projection"],
            offset=tensors["offset"],
            models=tensors["models"],
            contrast=tensors["contrast"],
            reference=Reference.from_tensors(tensors),
        )
