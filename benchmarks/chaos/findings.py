"""What a fault did to the requests: figures for the table, the JSON and the picture."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.chaos.asking import Asked

_SLOWER: Final = 2.0
_SLACK_SECONDS: Final = 0.5
"""A request is as fast as before below twice the ordinary time of its kind and half a second: engines share two cores
with the load and with each other."""


@dataclass(frozen=True, slots=True)
class Phase:
    """When a fault began, was to be lifted, and had been, in seconds since the load began, and when watching ended."""

    fault: str
    began: float
    lifting: float
    lifted: float
    ended: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What one fault did.

    Attributes:
        requests: Due from its beginning on until the system was left alone again.
        answered: With all that they asked for.
        broken: With a typed error after their first byte.
        failed: Before their first byte; none is to be.
        fallbacks: Decided or answered by something else than the policy's wish, by reason.
        slowest: Seconds of the slowest that was answered.
        recovered: Seconds from when it was lifted to the first request after which all were as before; None when some
            in the end were not.
        restart: Seconds that lifting it took, which for what was killed is its start.
        breakers: States seen beside closed, by part.
        errors: What callers were told, by how often.
    """

    phase: Phase
    requests: int
    answered: int
    broken: int
    failed: int
    refused: int
    deadline: int
    bypassed: int
    retried: int
    fallbacks: Mapping[str, int]
    slowest: float
    recovered: float | None
    restart: float
    breakers: Mapping[str, list[str]]
    errors: Mapping[str, int]


def ordinary(asked: Sequence[Asked]) -> dict[str, float]:
    """The ordinary time of each kind of request: the 90th percentile of a quiet time."""
    kinds = {each.kind for each in asked}
    return {
        kind: statistics.quantiles([0.0, *(each.seconds for each in asked if each.kind == kind)], n=10)[-1]
        for kind in kinds
    }


def finding(
    phase: Phase, asked: Sequence[Asked], usual: Mapping[str, float], breakers: Mapping[str, list[str]]
) -> Finding:
    """What a fault did.

    Args:
        phase: When it was.
        asked: All requests.
        usual: The ordinary time of each kind.
        breakers: What was seen of them.
    """
    during = [each for each in asked if phase.began <= each.due < phase.ended]
    outcomes = Counter(each.outcome for each in during)
    return Finding(
        phase=phase,
        requests=len(during),
        answered=outcomes["answered"],
        broken=outcomes["broken"],
        failed=outcomes["failed"],
        refused=outcomes["refused"],
        deadline=outcomes["deadline"],
        bypassed=sum(each.cache == "BYPASSED" for each in during),
        retried=sum(each.retries > 0 for each in during),
        fallbacks=dict(Counter(each.reason for each in during if each.fell_back)),
        slowest=max((each.seconds for each in during if each.outcome == "answered"), default=0.0),
        recovered=_recovered(phase, during, usual),
        restart=phase.lifted - phase.lifting,
        breakers=breakers,
        errors=dict(Counter(each.error[:160] for each in during if each.error)),
    )


def _recovered(phase: Phase, during: Sequence[Asked], usual: Mapping[str, float]) -> float | None:
    after = sorted((each for each in during if each.due >= phase.lifted), key=lambda each: each.due)
    last = max((number for number, each in enumerate(after) if not as_before(each, usual)), default=-1)
    if last + 1 >= len(after):
        return None
    return after[last + 1].due - phase.lifted if last >= 0 else 0.0


def as_before(asked: Asked, usual: Mapping[str, float]) -> bool:
    """Whether a request was answered as if nothing had happened."""
    limit = _SLOWER * usual.get(asked.kind, 0.0) + _SLACK_SECONDS
    well = asked.outcome == "answered" and not asked.fell_back and asked.cache != "BYPASSED"
    return well and not asked.retries and asked.seconds <= limit
