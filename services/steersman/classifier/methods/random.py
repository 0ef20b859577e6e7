"""The floor: a text's place is a hash of it. The same text gets the same one, and all are alike likely.

Nothing is learnt, so the data folder is not read; what an artefact holds is its seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from steersman.classifier import artefact, training
from steersman.classifier.methods import Progress
from steersman.classifier.plain import PlainScorer

NAME: Final = "random"
TAKES_BATTLES: Final = False

_BYTES: Final = 3
"""Of the hash: as many bits as single precision tells apart."""


def load(directory: Path, _environment: Mapping[str, str], *, digest: str | None = None) -> PlainScorer:
    """Load the seed, as `Method.load` says."""
    _, manifest = artefact.read_of(NAME, directory, digest=digest)
    key = str(manifest["seed"]).encode()
    return PlainScorer(place=lambda texts: _place(texts, key))


def train(_data: Path, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress) -> str:
    """Write the artefact of the seed."""
    del environment
    described = {
        "method": NAME,
        "seed": seed,
        "metrics": {
            "mean": {"value": 0.5, "low": 0.5, "high": 0.5},
            "basis": "what lots come to on any data",
        },
        **training.bounds(),
        "reference_traffic": "any: places are uniform",
        "data": [],
        "versions": training.versions(),
    }
    digest = artefact.write(out, tensors={}, manifest=described)
    progress("fitting", 1.0)
    return digest


def _place(texts: Sequence[bytes], key: bytes) -> npt.NDArray[np.float32]:
    hashes = (hashlib.blake2b(text, digest_size=_BYTES, key=key).digest() for text in texts)
    return np.array([int.from_bytes(each) / 256**_BYTES for each in hashes], dtype=np.float32)
