"""A strong tier that sleeps: the first query that wants it wakes it, and is answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cluster.callers import asked
from cluster.figures import Figures
from cluster.images import Image
from cluster.release import Release, Values
from cluster.replicas import Point, Recording, recording
from cluster.values import SCALED, SMALL

ASLEEP_SECONDS: Final = 120.0
WOKEN_SECONDS: Final = 1.5
"""From the first query that wants the tier to the change of its desired replicas."""
QUESTION: Final = ("--most=1", "--distinct", "--timeout=120")

SLEEPING: Final[Values] = {
    "tiers": {"strong": {"autoscaling": {"minReplicas": 0, "keda": {"fallback": {"replicas": 1}}}}},
    "policies": {
        "patient": {"tiers": ["weak", "strong"], "threshold": 0.0, "whenCold": "wait"},
        "hasty": {"tiers": ["weak", "strong"], "threshold": 0.0, "whenCold": "other"},
    },
}
"""Policies for which every query is a hard one."""


@pytest.fixture(scope="module")
def record(release: Release, image_values: Values, artefacts: Path) -> Iterator[Recording]:
    release.apply("install", image_values, SMALL, SCALED, SLEEPING)
    release.ready()
    with recording(release.namespace, artefacts / "cold-tier") as recorded:
        yield recorded


def asleep(point: Point) -> bool:
    return point.wanted == point.ready == 0


def test_the_first_query_wakes_the_tier_and_is_answered_by_it(
    release: Release, record: Recording, caller: Image, figures: Figures
) -> None:
    record.wait("backend-strong", asleep, seconds=ASLEEP_SECONDS)

    told = asked(release.namespace, caller, "1:complete:patient", options=QUESTION)

    woken = record.first("backend-strong", lambda point: point.wanted > 0, since=record.at(told.asked))
    figures.keep(
        "cold_tier",
        seconds_until_more_replicas_are_desired=woken.at - record.at(told.asked),
        seconds_until_answered=told.latency["longest"],
    )
    assert told.failures == []
    assert told.of("strong") == told.total == 1
    assert woken.at - record.at(told.asked) < WOKEN_SECONDS


def test_weak_answers_at_once_where_the_policy_does_not_wait(
    release: Release, record: Recording, caller: Image
) -> None:
    record.wait("backend-strong", asleep, seconds=ASLEEP_SECONDS)

    told = asked(release.namespace, caller, "1:complete:hasty", options=QUESTION)

    assert told.failures == []
    assert told.of("weak", "TIER_COLD") == told.total == 1
