"""The cluster that the proof runs in: the one that KUBECONFIG names, or one that it starts and ends.

CLUSTER_UP: A shell command that starts a cluster and prints `export NAME=VALUE...` lines for it.
CLUSTER_DOWN: A shell command that ends it.

A kubectl's own default is not good enough: nobody's cluster is to be loaded because its context happens to be current.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from cluster.commands import Failed, run

UP_SECONDS: Final = 600.0
PROGRAMS: Final = ("kubectl", "helm")


class Missing(Exception):
    """There is no cluster to be had."""


@contextmanager
def cluster() -> Iterator[None]:
    """A cluster that answers while the context lasts.

    Raises:
        Missing: There is none, and no command that would start one.
    """
    if os.environ.get("KUBECONFIG"):
        _answers()
        yield
        return
    up = os.environ.get("CLUSTER_UP")
    if not up:
        raise Missing("neither KUBECONFIG nor CLUSTER_UP is set")
    before = dict(os.environ)
    try:
        os.environ.update(_exported(_started(up)))
        _answers()
        yield
    finally:
        _end(os.environ.get("CLUSTER_DOWN"))
        os.environ.clear()
        os.environ.update(before)


def _started(up: str) -> str:
    try:
        return run(["bash", "-c", up], seconds=UP_SECONDS)
    except Failed as error:
        raise Missing(f"CLUSTER_UP failed: {error}") from error


def _answers() -> None:
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacking:
        raise Missing(f"{' and '.join(lacking)} cannot be found")
    try:
        run(["kubectl", "get", "--raw", "/readyz"], seconds=30)
    except Failed as error:
        raise Missing(f"no Kubernetes answers: {error}") from error


def _end(down: str | None) -> None:
    if down:
        run(["bash", "-c", down], seconds=UP_SECONDS)


def _exported(printed: str) -> Mapping[str, str]:
    """The variables that a shell would have after these lines."""
    words = shlex.split(os.path.expandvars(printed))
    pairs = (word.split("=", 1) for word in words if "=" in word)
    return dict(pairs)
