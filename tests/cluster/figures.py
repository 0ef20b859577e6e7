"""What the proof saw, in numbers: one file, from which the documentation is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Figures:
    """Keeps figures by name in a JSON file, written with each one, so that a proof that breaks off leaves some.

    Args:
        file: Where.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def keep(self, name: str, **figures: Any) -> None:
        """Keep figures under a name; earlier ones of that name are forgotten."""
        self._kept[name] = figures
        self._file.write_text(json.dumps(self._kept, indent=1, sort_keys=True) + "\n")
