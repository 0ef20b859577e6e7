"""`data.lock`: what was fetched into a data folder, from where, with the hashes that it had.

What is not known before the first download is known after it: a home that later sends something else is noticed, and
so is a file that was changed on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from steersman.classifier import json_lines
from steersman.classifier.errors import DataError

NAME: Final = "data.lock"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a data set that was fetched."""

    source: str
    """Where it was fetched from: a base or a mirror."""
    downloads: Mapping[str, str]
    """SHA-256 in hex of each download, by its path at the home."""
    outputs: Mapping[str, str]
    """The same of each file in the data folder, by its path there."""


Lock = Mapping[str, Record]
"""The records of a data folder, by the names of the data sets."""


def read(folder: Path) -> Lock:
    """What was fetched into a data folder; nothing where it has no such file.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        return dict(_parse(json.loads(json_lines.read(path))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged; remove it and fetch with --again, or take it from a copy"
        ) from error


def content(lock: Lock) -> bytes:
    """The file that holds these records."""
    sets = {
        name: {
            "source": record.source,
            "downloads": dict(sorted(record.downloads.items())),
            "outputs": dict(sorted(record.outputs.items())),
        }
        for name, record in sorted(lock.items())
    }
    return (json.dumps({"format": _FORMAT, "data_sets": sets}, indent=2) + "\n").encode()


def _parse(document: Any) -> Mapping[str, Record]:
    if document["format"] != _FORMAT:
        raise ValueError("of another format")
    return {
        name: Record(entry["source"], dict(entry["downloads"]), dict(entry["outputs"]))
        for name, entry in document["data_sets"].items()
    }
