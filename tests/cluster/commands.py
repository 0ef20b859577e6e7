"""Programs that the proof starts (kubectl, helm, the image builder), each with a deadline.

A program that fails says on its own standard error what was wrong; that is the message here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
"""The repository."""


class Failed(Exception):
    """A program ended with another status than 0, or not in time."""


def run(
    argv: Sequence[str | Path],
    *,
    seconds: float,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end in the repository's root and give what it wrote to standard output."""
    try:
        ended = subprocess.run(
            [os.fspath(part) for part in argv],
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            input=stdin,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{_shown(argv)} did not end within {seconds} s") from expired
    if ended.returncode:
        raise Failed(
            f"{_shown(argv)} ended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}"
        )
    return ended.stdout


def _shown(argv: Sequence[str | Path]) -> str:
    return " ".join(os.fspath(part) for part in argv)[:300]
