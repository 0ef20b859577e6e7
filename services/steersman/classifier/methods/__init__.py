"""The router methods, one module each. A module that has `load` and `train` here is a method; nothing lists them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from steersman.classifier.scores import Scorer

Progress = Callable[[str, float], None]
"""Told the stage of a training and the part of it that is done, in [0, 1]."""


class Method(Protocol):
    """What a module of this package offers."""

    def load(self, directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> Scorer:
        """Load a trained artefact for scoring, the one of that digest where it is told.

        Raises:
            ClassifierError: The artefact, or something that it needs, cannot be used.
        """

    def train(
        self, data: Path, *, out: Path, seed: int, environment: Mapping[str, str], progress: Progress
    ) -> str:
        """Train on the data folder, write an artefact to `out` as a whole or not at all, and tell its digest.

        Raises:
            ClassifierError: The data cannot be used.
        """


def names() -> tuple[str, ...]:
    """The methods that there are."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def named(name: str) -> Method:
    """One of `names`."""
    return cast("Method", importlib.import_module(f"{__name__}.{name}"))
