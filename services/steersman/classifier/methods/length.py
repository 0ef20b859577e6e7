"""What a method must beat: a text's place is that of its length, in bytes, among the reference traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier import artefact, training, validation
from steersman.classifier.bounded_text import BoundedTexts
from steersman.classifier.errors import ArtefactError
from steersman.classifier.methods import Progress
from steersman.classifier.percentiles import Percentiles
from steersman.classifier.plain import PlainScorer
from steersman.classifier.training_data import Examples

NAME: Final = "length"
TAKES_BATTLES: Final = False


def load(directory: Path, _environment: Mapping[str, str], *, digest: str | None = None) -> PlainScorer:
    """Load the percentiles, as `Method.load` says."""
    tensors, _ = artefact.read_of(NAME, directory, digest=digest)
    try:
        percentiles = Percentiles(tensors["score.values"], tensors["score.shares"])
    except KeyError as error:
        raise ArtefactError(f"the artefact in {directory} has no tensor {error}") from error
    return PlainScorer(place=lambda texts: percentiles(_lengths(texts)))


def train(data: Path, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress) -> str:
    """Take the percentiles of the sources that may ship; nothing is random, the seed is only noted."""
    del environment
    examples = training.read(data, progress=progress)
    lengths = [_lengths(BoundedTexts.of(each.texts).utf8) for each in examples]
    weights = [np.full(len(each.texts), each.source.reference_share / len(each.texts)) for each in examples]
    percentiles = Percentiles.of(np.concatenate(lengths).astype(np.float64), weights=np.concatenate(weights))
    described = {
        "method": NAME,
        "seed": seed,
        "metrics": training.metrics(_folds(examples, lengths), seed=seed),
        **training.bounds(),
        **training.traffic(examples),
        "versions": training.versions("numpy"),
    }
    tensors = {"score.values": percentiles.values, "score.shares": percentiles.shares}
    digest = artefact.write(out, tensors=tensors, manifest=described)
    progress("fitting", 1.0)
    return digest


def _folds(examples: Sequence[Examples], lengths: Sequence[npt.NDArray[np.float32]]) -> list[validation.Fold]:
    """Each source that models have answered: a length needs no other one to be told by."""
    return [
        validation.Fold.of(each.source.folder, of_each.astype(np.float64), each.gains)
        for each, of_each in zip(examples, lengths, strict=True)
        if not np.isnan(each.wins).any()
    ]


def _lengths(texts: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Logarithms, since lengths spread over several orders of magnitude."""
    return np.log1p(np.fromiter(map(len, texts), dtype=np.float32, count=len(texts)))
