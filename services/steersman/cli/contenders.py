"""Trained classifiers at work in this process, by the directories that hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from steersman.classifier import artefact, methods
from steersman.classifier.errors import ArtefactError
from steersman.classifier.evaluation.benchmark import Floats
from steersman.classifier.evaluation.evaluating import BASELINES
from steersman.classifier.scores import Scorer, Scores

DEFAULT: Final = Path("triton_models/static_head/1")
"""The classifier that ships, from the root of the repository."""

_AT_ONCE: Final = 256
"""Texts scored between two reports of progress."""

Progress = Callable[[str], None]
"""Told in words what is being done."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A loaded classifier."""

    name: str
    """Its method, and its directory where another is called so."""
    directory: Path
    digest: str
    scorer: Scorer

    def rate(self, prompts: Sequence[str], progress: Progress) -> Floats:
        """Scores of the prompts."""
        return self.assess(prompts, progress).score.astype(np.float64)

    def assess(self, prompts: Sequence[str], progress: Progress) -> Scores:
        """All that the classifier says about the prompts."""
        parts: list[Scores] = []
        for start in range(0, len(prompts), _AT_ONCE):
            progress(f"{self.name}: {start:,} of {len(prompts):,} prompts scored")
            parts.append(self.scorer.score(prompts[start : start + _AT_ONCE]))
        return Scores.joined(parts)


def load(path: Path) -> Contender:
    """Load the one artefact that a path names.

    Raises:
        ClassifierError: It names none or several, or it cannot be loaded.
    """
    found = tuple(_artefacts(path))
    if len(found) > 1:
        raise ArtefactError(f"{path} holds several models; name one of them")
    return load_all(found)[0]


def load_all(paths: Sequence[Path]) -> tuple[Contender, ...]:
    """Load the artefacts that the paths name: an artefact, a model with versions, or a whole model repository.

    Of a model the newest version is taken.

    Raises:
        ClassifierError: A path names no artefact, or one cannot be loaded.
    """
    directories = tuple(dict.fromkeys(each for path in paths for each in _artefacts(path)))
    manifests = [artefact.read(directory)[1] for directory in directories]
    used = [
        methods.name_of(manifest, directory)
        for directory, manifest in zip(directories, manifests, strict=True)
    ]
    return tuple(
        Contender(
            name=name,
            directory=directory,
            digest=manifest[artefact.DIGEST],
            scorer=methods.named(method).load(directory, os.environ),
        )
        for name, directory, manifest, method in zip(
            _names(used, directories), directories, manifests, used, strict=True
        )
    )


def _names(used: Sequence[str], directories: Sequence[Path]) -> list[str]:
    """Methods, with as much of their directories as tells them apart from each other and from the baselines."""
    names = list(used)
    for parts in range(2, max(len(directory.parts) for directory in directories) + 2):
        if len({*names, *BASELINES}) == len(names) + len(BASELINES):
            break
        names = [
            f"{method} ({'/'.join(directory.parts[-parts:])})"
            for method, directory in zip(used, directories, strict=True)
        ]
    return names


def _artefacts(path: Path) -> Iterator[Path]:
    if _is_artefact(path) or not path.is_dir():
        yield path
    elif newest := _newest_version(path):
        yield newest
    elif found := [newest for model in sorted(path.iterdir()) if (newest := _newest_version(model))]:
        yield from found
    else:
        raise ArtefactError(
            f"{path} holds no artefact, nor models that hold one; `steersman train` writes them"
        )


def _newest_version(model: Path) -> Path | None:
    versions = (each for each in model.glob("[0-9]*") if each.name.isdecimal() and _is_artefact(each))
    return max(versions, key=lambda each: int(each.name), default=None)


def _is_artefact(directory: Path) -> bool:
    return (directory / artefact.MANIFEST).is_file()
