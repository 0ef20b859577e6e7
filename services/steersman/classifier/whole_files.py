"""Files that appear as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def replace_all(files: Mapping[Path, bytes], *, mode: int | None = None) -> None:
    """Put every file in place by renaming, once all of them are on disk.

    Args:
        files: Content by path.
        mode: Who may do what with them, from the first byte on; as the process has it where not given.

    Raises:
        OSError: One cannot be written; then none is changed.
    """
    partial = {path: path.with_name(f".{path.name}.partial") for path in files}
    try:
        for path, content in files.items():
            if mode is not None:
                partial[path].unlink(missing_ok=True)  # one that was left behind may be open to others
                partial[path].touch(mode, exist_ok=False)
            partial[path].write_bytes(content)
        for path in files:
            partial[path].replace(path)
    finally:
        for path in partial.values():
            if path.is_file():
                path.unlink()
