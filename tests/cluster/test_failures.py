"""What dies under load costs what the design says: a degraded decision, a retry, at worst a stream that says it broke.

Each pod is deleted twice: with its grace period, as a node's drain does it, and without, as when a node dies.
"""

from __future__ import annotations

import time
from typing import Final

import pytest

from cluster.callers import Told, calling
from cluster.figures import Figures
from cluster.images import Image
from cluster.release import Release, Values
from cluster.values import SMALL, TWO_BACKENDS

LOAD: Final = ("3:complete:auto", "2:chat:auto", "3:whole:auto", "2:stream:auto", "2:route:auto")
AT_ONCE: Final = ("--grace-period=0", "--force")
AFTERWARDS: Final = 5.0
"""Seconds for which callers go on once everything is ready again."""
STREAMS: Final = frozenset({"chat", "stream"})


@pytest.fixture(scope="module")
def installed(release: Release, image_values: Values) -> Release:
    release.install(image_values, SMALL, TWO_BACKENDS)
    return release


def told_while_deleted(release: Release, caller: Image, component: str, *how: str) -> Told:
    """What callers were told while one pod of a component was deleted and replaced."""
    space = release.namespace
    with calling(space, caller, *LOAD, options=("--distinct", "--pause=0.1")) as callers:
        callers.wait_for_answers(40, seconds=60)
        victim = space.pods(component)[0]["metadata"]["name"]
        space.kubectl("delete", "pod", victim, "--wait=false", *how)
        release.ready()
        release.settled()
        time.sleep(AFTERWARDS)
        return callers.stop()


def kept(figures: Figures, name: str, told: Told) -> Told:
    """Write down what callers were told."""
    degraded = {
        reason: told.of(reason) for reason in ("CLASSIFIER_UNAVAILABLE", "CLASSIFIER_TIMEOUT", "BYPASSED")
    }
    figures.keep(
        f"deleted {name}",
        answered=told.total,
        failed=dict(told.failed),
        failures=told.failures,
        degraded=degraded,
        latency=told.latency,
    )
    return told


@pytest.mark.parametrize("component", ["router", "backend", "redis", "classifier"])
def test_nobody_notices_a_pod_that_leaves(
    installed: Release, caller: Image, figures: Figures, component: str
) -> None:
    told = kept(figures, f"{component}, with grace", told_while_deleted(installed, caller, component))

    assert told.failures == []


@pytest.mark.parametrize("component", ["redis", "classifier"])
def test_nobody_notices_that_what_a_decision_is_made_from_dies(
    installed: Release, caller: Image, figures: Figures, component: str
) -> None:
    told = kept(figures, f"{component}, at once", told_while_deleted(installed, caller, component, *AT_ONCE))

    assert told.failures == []
    degraded = {"redis": ("BYPASSED",), "classifier": ("CLASSIFIER_UNAVAILABLE", "CLASSIFIER_TIMEOUT")}
    assert sum(map(told.of, degraded[component])) > 0


@pytest.mark.parametrize("component", ["router", "backend"])
def test_only_streams_that_had_begun_end_when_a_pod_dies_and_they_say_so(
    installed: Release, caller: Image, figures: Figures, component: str
) -> None:
    told = kept(figures, f"{component}, at once", told_while_deleted(installed, caller, component, *AT_ONCE))

    assert set(told.failed) <= STREAMS
    assert [failure for failure in told.failures if failure.startswith("Unfit")] == []
