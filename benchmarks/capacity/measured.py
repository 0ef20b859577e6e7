"""What a request costs, taken from the recorded runs of `make bench`: CPU time of each process, for each kind of work.

CPU time is what carries over from two cores to many: a rate was found with the generator, both sides and the engine on
the same two cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

_RATE: Final = "/s"
_HIT: Final = "Route, L1 hit, 64 streams"
_MISS: Final = "Route, miss, 32 streams"
_COMPLETE: Final = "Complete, L1 hit, 64 streams"
_CHUNK: Final = "Chat, two hops, 64 streams"
_CLASSIFY: Final = "Classify as a router, 32 streams"
_KEYS_OF_A_MISS: Final = 4
"""A score is looked up, and it, the conversation and the decision are written."""
SATURATED: Final = (
    _HIT,
    _MISS,
    _COMPLETE,
    "Route, L1 hit, 64 streams: identity, limits, conversations",
    "HTTP unary, L1 hit, 16 connections",
)
"""Runs in which one router had as much to do as it could."""


class NotMeasured(Exception):
    """No recorded run has what is needed."""


@dataclass(frozen=True, slots=True)
class Point:
    """One side of a recorded measurement.

    Attributes:
        title: What was measured.
        commit: Of the run.
        rate: Requests, or chunks, a second.
        cpu: Seconds of CPU time for each, by process.
    """

    title: str
    commit: str
    rate: float
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of CPU time.

    Attributes:
        decision: Of a router for a decision whose score it knows.
        answer: Of a router for getting an answer of one piece, beyond the decision.
        miss: Of a router for a score that it does not know, beyond the decision.
        chunk: Of a router for each further piece of an answer.
        classification: Of Triton for a text.
        key: Of Redis for an entry that is looked up or written.
        backend_chunk: Of a backend for each piece of an answer.
    """

    decision: float
    answer: float
    miss: float
    chunk: float
    classification: float
    key: float
    backend_chunk: float


def points(folder: Path) -> dict[str, Point]:
    """The latest recorded point of each measurement."""
    found: dict[str, Point] = {}
    for path in sorted(folder.glob("2*.json")):
        content = orjson.loads(path.read_bytes())
        found |= {point.title: point for point in _points(content)}
    return found


def costs(found: Mapping[str, Point]) -> Costs:
    """What the model needs of them.

    Raises:
        NotMeasured: One of the measurements is in no record.
    """
    missing = [title for title in (_HIT, _MISS, _COMPLETE, _CHUNK, _CLASSIFY) if title not in found]
    if missing:
        raise NotMeasured(f"no recorded run has {missing[0]!r}; make bench measures it")
    hit, miss = found[_HIT].cpu, found[_MISS].cpu
    return Costs(
        decision=hit["router"],
        answer=found[_COMPLETE].cpu["router"] - hit["router"],
        miss=miss["router"] - hit["router"],
        chunk=found[_CHUNK].cpu["router"],
        classification=found[_CLASSIFY].cpu["triton"],
        key=miss["valkey"] / _KEYS_OF_A_MISS,
        backend_chunk=found[_CHUNK].cpu["backend"],
    )


def _points(content: Mapping[str, Any]) -> Iterable[Point]:
    for outcome in content["outcomes"]:
        if outcome["unit"] == _RATE:
            first = next(iter(outcome["runs"].values()))  # ours; what it is held against comes after
            if first["samples"]:
                yield _point(outcome["title"], content["commit"], first["samples"])


def _point(title: str, commit: str, samples: Sequence[Mapping[str, Any]]) -> Point:
    count = sum(sample["count"] for sample in samples)
    processes = samples[0]["cpu_seconds"]
    return Point(
        title,
        commit[:7],
        count / sum(sample["seconds"] for sample in samples),
        {name: sum(sample["cpu_seconds"][name] for sample in samples) / count for name in processes},
    )
