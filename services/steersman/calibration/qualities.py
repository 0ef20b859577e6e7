"""What is known about the quality of answers that decisions led to, from a file.

A line has the `id` of a decision and a `quality`: a number, of the answer that was given, or an object with a number a
tier, where more than one tier has answered the query. The decision log itself is such a file, where callers have said
how good answers were: its other lines are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from steersman.calibration.decisions import Logged
from steersman.classifier import json_lines
from steersman.classifier.errors import DataError
from steersman.classifier.json_lines import Line
from steersman.router.decision_log import SCHEMA


def read(path: Path, decisions: Sequence[Logged]) -> dict[str, dict[str, float]]:
    """Qualities by decision id and tier.

    Raises:
        DataError: The file or a line cannot be read, or no label is of one of the decisions.
    """
    tiers = {each.id: each.tier for each in decisions}
    labels: dict[str, dict[str, float]] = {}
    for line in json_lines.stream([path]):
        if line.row.get("schema") == SCHEMA or {"level", "logger"} <= line.row.keys():
            continue
        identity = line.text("id")
        if identity in tiers:
            labels.setdefault(identity, {}).update(_qualities(line, tiers[identity]))
    if not labels:
        raise DataError(f"{path}: no label is of a decision that is replayed")
    return labels


def _qualities(line: Line, tier: str) -> Mapping[str, float]:
    quality = line.row.get("quality")
    if not isinstance(quality, dict):
        return {tier: line.number_of("quality")}
    return {name: line.checked(f"quality.{name}", value) for name, value in quality.items()}
