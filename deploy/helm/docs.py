"""Writes the table of values in the chart's README from the comments in values.yaml.

A comment that begins with `# --` above a key documents it, and a whole mapping where it stands above one;
`# @default --` replaces the default that is shown. The README's text around the table is kept.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parent / "steersman"
_BEGIN: Final = "<!-- values: begin; written by deploy/helm/docs.py -->"
_END: Final = "<!-- values: end -->"
_KEY: Final = re.compile(r"^( *)([\w-]+):")


@dataclass(frozen=True, slots=True)
class Documented:
    """A row of the table.

    Attributes:
        path: Keys from the top, joined by dots.
        text: What its comment says.
        default: The default as people read it.
    """

    path: str
    text: str
    default: str


def documented(text: str) -> Iterator[Documented]:
    """The documented values of a values.yaml, in its order."""
    values = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment = _extended(comment, stripped.removeprefix("#").strip())
            continue
        key = _KEY.match(line)
        if key:
            path = [part for part in path if part[0] < len(key[1])] + [(len(key[1]), key[2])]
            if comment:
                names = [name for _, name in path]
                yield _row(names, comment, _at(values, names))
        comment = []


def _extended(comment: list[str], line: str) -> list[str]:
    """A comment with one more line; what comes before `--` documents no value."""
    if line.startswith("-- "):
        return [line.removeprefix("-- ")]
    return [*comment, line] if comment else []


def _row(names: list[str], comment: list[str], value: Any) -> Documented:
    shown = [line for line in comment if not line.startswith("@default -- ")]
    given = [line.removeprefix("@default -- ") for line in comment if line.startswith("@default -- ")]
    default = given[0] if given else f"`{json.dumps(value)}`"
    return Documented(".".join(names), " ".join(shown), default)


def _at(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values[name]
    return values


def table(rows: Iterator[Documented]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| value | what it does | default |", "|---|---|---|"]
    lines += [f"| `{row.path}` | {row.text} | {row.default} |" for row in rows]
    return "\n".join(lines)


def renewed(readme: str, values: str) -> str:
    """A README with a fresh table between its marks."""
    before, rest = readme.split(_BEGIN)
    after = rest.split(_END)[1]
    return f"{before}{_BEGIN}\n{table(documented(values))}\n{_END}{after}"


def main() -> int:
    """Write the table, or with --check say whether it is fresh."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail where the table is not fresh"
    )
    check = parser.parse_args().check
    path = CHART / "README.md"
    readme = path.read_text()
    fresh = renewed(readme, (CHART / "values.yaml").read_text())
    if check:
        if fresh != readme:
            sys.stderr.write("The chart's README is older than values.yaml: run deploy/helm/docs.py.\n")
        return int(fresh != readme)
    path.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
