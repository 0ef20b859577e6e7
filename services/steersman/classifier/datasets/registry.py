"""What `registry.toml` says of each data set.

Nothing here reads the network or the data, so that an error about missing data can say how to get it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from steersman.classifier.errors import DataError

VERBATIM: Final = "verbatim"
"""The form of a set whose files are read as they were published."""

MEGABYTE: Final = 1_000_000
_MOST_MEGABYTES: Final = 64
"""Of a file whose size is not known beforehand: far above any that is listed, far below what fills a machine."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file at a public home."""

    path: str
    """Below the base, and below a mirror."""
    sha256: str | None
    """In hex; None where it is not known beforehand."""
    bytes: int | None
    most_bytes: int
    """More than that is not taken."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file in the data folder."""

    path: str
    """From the data folder on, with slashes."""
    columns: tuple[str, ...] = ()
    """Those that each row must have; none for a file that is no JSON lines."""
    least_rows: int = 0


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set, as `registry.toml` describes it."""

    name: str
    about: str
    use: str
    """`training`, `evaluation` or `battles`."""
    ships: str
    """Whether the artefact that ships may be trained on it: `yes` or `no`, and the reason."""
    licence: str
    home: str
    base: str
    form: str
    size: str
    files: tuple[RemoteFile, ...]
    outputs: tuple[Output, ...]
    why_not: str | None
    """Why it cannot be fetched; None where it can."""

    @property
    def folders(self) -> frozenset[str]:
        """Those in the data folder that it fills, with others or alone."""
        return frozenset(output.path.partition("/")[0] for output in self.outputs)


def data_sets() -> tuple[DataSet, ...]:
    """All of them, in the order of the registry."""
    text = resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8")
    return tuple(_data_set(entry) for entry in tomllib.loads(text)["data_set"])


def named(name: str) -> DataSet:
    """One of them.

    Raises:
        DataError: There is none of that name.
    """
    known = {each.name: each for each in data_sets()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise DataError(f"there is no data set '{name}'{hint} `steersman data list` shows all")
    return known[name]


def can_be_fetched(folder: str) -> bool:
    """Whether some data set that fills this folder of a data folder has a public home to fetch it from."""
    return any(each.why_not is None for each in data_sets() if folder in each.folders)


def how_to_get(folder: Path) -> str:
    """What to do where this folder of a data folder is missing, as the end of a sentence."""
    fills = [each for each in data_sets() if folder.name in each.folders]
    fetched = " ".join(each.name for each in fills if each.why_not is None)
    others = ", ".join(each.name for each in fills if each.why_not is not None)
    if not fills:
        return "`steersman data list` shows what can be fetched"
    if not fetched:
        return f"{others} cannot be fetched and has to be brought (docs/data.md)"
    command = f"`steersman data fetch {fetched} --into {folder.parent}` gets it"
    return f"{command}, except {others}, which has to be brought (docs/data.md)" if others else command


def _data_set(entry: Mapping[str, Any]) -> DataSet:
    files = tuple(_files(entry))
    return DataSet(
        name=entry["name"],
        about=entry["about"],
        use=entry["use"],
        ships=entry["ships"],
        licence=entry["licence"],
        home=entry["home"],
        base=entry.get("base", ""),
        form=entry.get("form", ""),
        size=entry.get("size") or _size(files),
        files=files,
        outputs=tuple(_outputs(entry)),
        why_not=entry.get("why_not"),
    )


def _files(entry: Mapping[str, Any]) -> Iterator[RemoteFile]:
    most_bytes = entry.get("most_megabytes", _MOST_MEGABYTES) * MEGABYTE
    for file in entry.get("files", ()):
        size = file.get("bytes")
        yield RemoteFile(file["path"], file.get("sha256"), size, size or most_bytes)


def _outputs(entry: Mapping[str, Any]) -> Iterator[Output]:
    if entry.get("form") == VERBATIM:
        yield from (Output(f"{entry['name']}/{file['path']}") for file in entry["files"])
    for output in entry.get("outputs", ()):
        yield Output(output["path"], tuple(output["columns"]), output["least_rows"])


def _size(files: tuple[RemoteFile, ...]) -> str:
    return f"{sum(file.bytes or 0 for file in files) / MEGABYTE:.1f} MB" if files else "-"
