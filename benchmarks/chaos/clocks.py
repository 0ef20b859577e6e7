"""Clocks that can be set while a process runs: libfaketime between it and the C library, and a file that it reads.

Only the time of day is set. The monotonic clock is what no administrator and no time server can turn back, so setting
it would show nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_LIBRARY: Final = "faketime/libfaketimeMT.so.1"


def interposer() -> Path | None:
    """Where libfaketime is, as the package faketime of Debian and others installs it; None where it is not."""
    found = (path for folder in map(Path, _FOLDERS) for path in folder.glob(f"**/{_LIBRARY}"))
    return next(found, None)


def set_by(file: Path, seconds: int) -> None:
    """Set the clocks that this file sets so many seconds forward."""
    partial = file.with_suffix(".partial")
    partial.write_text(f"{seconds:+d}\n")
    partial.replace(file)


def environment(interposed: Path, file: Path) -> Mapping[str, str]:
    """Variables of a process whose clock is set by a file, which is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    set_by(file, 0)
    return {
        "LD_PRELOAD": str(interposed),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
