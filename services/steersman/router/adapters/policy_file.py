"""The policy file on disk: read at the start, and again whenever it changes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from steersman.router import catalogue
from steersman.router.model import Catalogue
from steersman.runtime.watched_file import WatchedFile


def policy_file(
    path: Path,
    apply: Callable[[Catalogue], Awaitable[None]],
    on_reload: Callable[[str], None],
    *,
    refused: catalogue.Refusal = lambda _: None,
    interval: float = 1.0,
) -> WatchedFile[Catalogue]:
    """The file of the catalogue.

    Args:
        path: Where it is.
        apply: Puts a new catalogue to use.
        on_reload: Told whether a changed file was `taken` or `refused`.
        refused: Says why a URL may not be asked, or None.
        interval: Seconds between two looks.
    """
    read = partial(catalogue.parse, environment=os.environ, refused=refused)
    return WatchedFile("policy file", path, read, apply, on_reload, interval)
