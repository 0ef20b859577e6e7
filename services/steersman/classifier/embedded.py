"""Serving of the methods that read static embeddings: from a batch of texts to their scores.

A method gives a head, which turns vectors and text features into raw outputs; reading and cutting texts, embedding
them, and telling what a raw output means are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from steersman.classifier import artefact, text_features
from steersman.classifier.artefact import Manifest
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.embeddings import Identity, StaticEmbeddings, locate
from steersman.classifier.errors import ArtefactError
from steersman.classifier.reference import Reference
from steersman.classifier.scores import Scores

Floats = npt.NDArray[np.float32]


class Features(Protocol):
    """What is told of a text beside its vector."""

    @property
    def width(self) -> int:
        """Columns of a row."""

    def extract(self, texts: Sequence[bytes]) -> Floats:
        """One row a UTF-8 text."""


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """Those that every method but a few does with."""

    width: int = len(text_features.NAMES)

    def extract(self, texts: Sequence[bytes]) -> Floats:
        """Count what a text shows on its surface."""
        return text_features.extract(texts)


class Head(Protocol):
    """Everything that a method has learnt."""

    @property
    def reference(self) -> Reference:
        """What its raw outputs mean."""

    @property
    def input_width(self) -> int:
        """Length of the vectors that it takes, and where it reads text features, of both together."""

    def raw(self, vectors: Floats, features: Floats) -> Floats:
        """Raw output of each text, from its unit vector and its text features."""


class EmbeddedScorer:
    """A head, and the embeddings and features that it was trained on.

    Raises:
        ArtefactError: The head does not fit the embeddings and the features.
    """

    def __init__(self, *, head: Head, embeddings: StaticEmbeddings, features: Features | None = None) -> None:
        self._features = features or TextFeatures()
        widths = (embeddings.dimensions, embeddings.dimensions + self._features.width)
        if head.input_width not in widths:
            raise ArtefactError(f"the head takes {head.input_width} inputs where {widths[-1]} are given")
        self._head = head
        self._embeddings = embeddings

    def score(self, texts: Sequence[str]) -> Scores:
        """Score a batch; most of the time goes to words that were not met before."""
        bounded = BoundedTexts.of(texts)
        vectors, features = self._embeddings.embed(bounded.utf8), self._features.extract(bounded.utf8)
        raw = self._head.raw(vectors, features)
        return self._head.reference.tell(raw, vectors=vectors, truncated=bounded.truncated)


def load(
    directory: Path,
    environment: Mapping[str, str],
    *,
    digest: str | None,
    method: str,
    head: Callable[[Mapping[str, Floats]], Head],
    features: Callable[[Manifest], Features] | None = None,
) -> EmbeddedScorer:
    """Load a trained head, the one of that digest where it is told, and the embeddings that it was trained on.

    Args:
        directory: Holds the artefact.
        environment: Says where the embeddings are.
        digest: Of the artefact that is meant.
        method: What the artefact must be of.
        head: Rebuilds the head from the artefact's tensors.
        features: Finds what a head reads by its manifest, where that is more than text features.

    Raises:
        ClassifierError: The artefact or the embeddings are missing or do not fit each other.
    """
    tensors, manifest = artefact.read_of(method, directory, digest=digest)
    embeddings = StaticEmbeddings.load(locate(environment), expected=Identity(**manifest["embeddings"]))
    try:
        rebuilt = head(tensors)
    except KeyError as error:
        raise ArtefactError(f"the artefact in {directory} has no tensor {error}") from error
    found = None if features is None else features(manifest)
    return EmbeddedScorer(head=rebuilt, embeddings=embeddings, features=found)
