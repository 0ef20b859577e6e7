"""The sources as one training set: inputs, pooled labels, weights.

Gains are centred per source before they are pooled, since how far two groups of models lie apart on a source says
nothing about its questions; uncentred, a head learns to tell the sources apart. They are scaled per source as well,
because the solution steps of one are no probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from steersman.classifier import text_features
from steersman.classifier.battles import Battles
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embeddings import StaticEmbeddings
from steersman.classifier.training_data import Examples

Floats = npt.NDArray[np.float64]

_BATCH = 256


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Rows of all sources, one after the other."""

    inputs: Floats
    """Embedding, then text features: the columns of the head."""
    dimensions: int
    """How many of the columns are the embedding."""
    gains: Floats
    """In the source's own units."""
    targets: Floats
    """Gain, centred and scaled within the source; NaN where no strong and weak model met."""
    wins: Floats
    """Share of won pairs; NaN where no model answered."""
    source: npt.NDArray[np.intp]
    """Index of the row's source."""
    group: npt.NDArray[np.str_]
    reference: Floats
    """Weight in the reference traffic; sums to 1."""
    battles: Battles
    """Who beat whom on the rows."""

    def of(self, rows: npt.NDArray[np.bool_]) -> TrainingSet:
        """Only those rows."""
        return TrainingSet(
            inputs=self.inputs[rows],
            dimensions=self.dimensions,
            gains=self.gains[rows],
            targets=self.targets[rows],
            wins=self.wins[rows],
            source=self.source[rows],
            group=self.group[rows],
            reference=self.reference[rows] / self.reference[rows].sum(),
            battles=self.battles.among(rows),
        )

    def represented_by(self, rows: npt.NDArray[np.bool_]) -> TrainingSet:
        """Only those rows, where they stand for all: each source keeps its part of the reference traffic."""
        part = self.of(rows)
        shares = np.bincount(self.source, weights=self.reference)
        kept = np.bincount(self.source[rows], weights=self.reference[rows], minlength=len(shares))
        reference = self.reference[rows] * (shares / np.where(kept > 0, kept, 1.0))[part.source]
        return replace(part, reference=reference / reference.sum())

    @property
    def vectors(self) -> Floats:
        """The embeddings."""
        return self.inputs[:, : self.dimensions]

    @property
    def features(self) -> Floats:
        """The text features."""
        return self.inputs[:, self.dimensions :]

    def fitting_weights(self, exponent: float) -> Floats:
        """Weight of each row, such that a source of n rows weighs n ** exponent: 1 by row, 0 all sources alike."""
        sizes = np.bincount(self.source)[self.source].astype(np.float64)
        return np.asarray(sizes ** (exponent - 1))


def assemble(sources: Sequence[Examples], embeddings: StaticEmbeddings) -> TrainingSet:
    """Embed and pool the sources."""
    sizes = [len(examples.texts) for examples in sources]
    texts = [text for examples in sources for text in examples.texts]
    reference = [
        np.full(size, examples.source.reference_share / size)
        for examples, size in zip(sources, sizes, strict=True)
    ]
    return TrainingSet(
        inputs=inputs_of(texts, embeddings),
        dimensions=embeddings.dimensions,
        gains=np.concatenate([examples.gains for examples in sources]),
        targets=np.concatenate([_standardise(examples.gains) for examples in sources]),
        wins=np.concatenate([examples.wins for examples in sources]),
        source=np.repeat(np.arange(len(sources)), sizes),
        group=np.concatenate([examples.group for examples in sources]),
        reference=np.concatenate(reference) / sum(map(np.sum, reference)),
        battles=Battles.of(sources),
    )


def inputs_of(texts: Sequence[str], embeddings: StaticEmbeddings) -> Floats:
    """Embedding and text features of each text: what a head multiplies with its weights."""
    return np.vstack([_inputs(batch, embeddings) for batch in _batches(texts)])


def _inputs(texts: Sequence[str], embeddings: StaticEmbeddings) -> Floats:
    utf8 = BoundedTexts.of(texts).utf8
    return np.hstack((embeddings.embed(utf8), text_features.extract(utf8)), dtype=np.float64)


def _batches(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    return (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))


def _standardise(gains: Floats) -> Floats:
    known = gains[~np.isnan(gains)]
    spread = known.std()
    return np.asarray((gains - known.mean()) / (spread if spread > 0 else 1.0))
