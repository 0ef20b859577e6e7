"""An artefact at work in this process: the scores of many texts, with progress."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from steersman.calibration.bootstrap import Floats
from steersman.classifier import artefact, methods
from steersman.classifier.errors import ArtefactError
from steersman.classifier.scores import Scorer

_BATCH: Final = 256
_DEFAULT_ARTEFACT: Final = Path("triton_models/static_head/1")


def add_artefact(parser: argparse.ArgumentParser) -> None:
    """Which artefact scores."""
    parser.add_argument(
        "--artefact",
        type=Path,
        default=_DEFAULT_ARTEFACT,
        metavar="DIR",
        help="what `steersman train` wrote (default: %(default)s)",
    )


def load(directory: Path, environment: Mapping[str, str]) -> tuple[Scorer, str]:
    """Load an artefact, whatever its method, and tell its digest.

    Raises:
        ClassifierError: It cannot be used.
    """
    _, manifest = artefact.read(directory)
    if manifest.get("method") not in methods.names():
        raise ArtefactError(f"{directory} holds an artefact of no known method")
    return methods.named(manifest["method"]).load(directory, environment), manifest[artefact.DIGEST]


def score(scorer: Scorer, texts: Sequence[str], errors: Console) -> Floats:
    """Score texts in batches."""
    starts = range(0, len(texts), _BATCH)
    batches = track(starts, description="scoring", console=errors, transient=True)
    return np.concatenate([scorer.score(texts[start : start + _BATCH]).score for start in batches]).astype(
        np.float64
    )
