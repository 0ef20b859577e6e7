"""The router methods, one module each. A module that has `load` and `train` here is a method; nothing lists them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from steersman.classifier import artefact
from steersman.classifier.battle_file import BattleFile
from steersman.classifier.errors import ArtefactError, DataError
from steersman.classifier.scores import Scorer

Progress = Callable[[str, float], None]
"""Told the stage of a training and the part of it that is done, in [0, 1]."""


class Method(Protocol):
    """What a module of this package offers."""

    TAKES_BATTLES: bool
    """Whether it is a `BattleMethod`."""

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


class BattleMethod(Protocol):
    """A method that learns from pairwise battles as well."""

    def train(
        self,
        data: Path,
        *,
        out: Path,
        seed: int,
        environment: Mapping[str, str],
        progress: Progress,
        battles: BattleFile | None = None,
    ) -> str:
        """Train as `Method.train` does, with the battles as one source more.

        Raises:
            ClassifierError: The data or the battles cannot be used.
        """


def names() -> tuple[str, ...]:
    """The methods that there are."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def named(name: str) -> Method:
    """One of `names`."""
    return cast("Method", importlib.import_module(f"{__name__}.{name}"))


def of_battles(name: str) -> BattleMethod:
    """One of `names` that learns from battles.

    Raises:
        DataError: It does not.
    """
    method = named(name)
    if not method.TAKES_BATTLES:
        able = ", ".join(each for each in names() if named(each).TAKES_BATTLES)
        raise DataError(f"{name} does not learn from battles; these do: {able}")
    return cast("BattleMethod", method)


def load(directory: Path, environment: Mapping[str, str], *, digest: str | None = None) -> Scorer:
    """Load an artefact by the method that its manifest names.

    Raises:
        ClassifierError: As `Method.load`, or the method is not known.
    """
    _, manifest = artefact.read(directory, digest=digest)
    return named(name_of(manifest, directory)).load(directory, environment, digest=digest)


def name_of(manifest: artefact.Manifest, directory: Path) -> str:
    """The method of the artefact in a directory, by its manifest.

    Raises:
        ArtefactError: It is not known.
    """
    name = str(manifest.get("method"))
    if name not in names():
        raise ArtefactError(
            f"{directory} holds an artefact of no known method; known are {', '.join(names())}"
        )
    return name
