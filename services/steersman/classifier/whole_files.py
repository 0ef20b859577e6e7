"""Files that appear as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def replace_all(files: Mapping[Path, bytes]) -> None:
    """Put every file in place by renaming, once all of them are on disk.

    Raises:
        OSError: One cannot be written; then none is changed.
    """
    partial = {path: path.with_name(f".{path.name}.partial") for path in files}
    try:
        for path, content in files.items():
            partial[path].write_bytes(content)
        for path in files:
            partial[path].replace(path)
    finally:
        for path in partial.values():
            if path.is_file():
                path.unlink()
