"""KEDA scales each part by its own demand, in and out, and nobody who asks meanwhile notices.

One run: load on weak alone, then on the classifier alone, then none. Callers keep their connections all the time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from cluster.callers import Told, calling
from cluster.figures import Figures
from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import Release, Values
from cluster.replicas import Point, Recording, recording
from cluster.shares import BACKEND, CLASSIFIER, ROUTER, Spread, spread
from cluster.values import SCALED, SMALL

OUT_SECONDS: Final = 120.0
"""From load to more replicas that are ready: an engine has to start meanwhile."""
IN_SECONDS: Final = 180.0
LOOK_SECONDS: Final = 30.0
"""From the moment at which the newest replica is ready: what it missed at first counts."""
STEADY: Final = ("1:stream:auto", "1:chat:auto", "4:route:auto")
"""Callers of the whole run; those that want a decision alone make so many calls that a router's share is no chance."""
FAIR: Final = 0.5
"""Least part of its fair share that each replica is to get."""


@dataclass(slots=True)
class Observed:
    """What was seen.

    Attributes:
        out: Seconds from load to all replicas ready, by workload.
        most: Most replicas in the phase of the load, by phase and workload.
        shares: Part of its fair share that the least busy replica got, by component.
        quiet: When all load ended, in seconds since the recording began.
        back: Seconds from the end of all load to as few replicas as before.
        told: What each group of callers was told.
    """

    out: dict[str, float] = field(default_factory=dict)
    most: dict[tuple[str, str], int] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    quiet: float = 0.0
    back: float = 0.0
    told: dict[str, Told] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """The run: phases of load, one after the other."""

    space: Namespace
    record: Recording
    caller: Image
    seen: Observed

    def weak_is_loaded(self) -> None:
        begun = self.record.mark("load on weak")
        with calling(self.space, self.caller, "8:complete:weak", "6:whole:weak", name="weak-load") as callers:
            self._grows("backend-weak", 3, begun)
            self._grows("router", 3, begun)
            self._look("backend", "router")
            self.seen.told["weak"] = callers.stop()
        self._ends("weak", begun)

    def classifier_is_loaded(self) -> None:
        begun = self.record.mark("load on the classifier")
        options = ("--distinct",)
        with calling(self.space, self.caller, "32:route:auto", name="route-load", options=options) as callers:
            self._grows("classifier", 3, begun)
            self._look("classifier")
            self.seen.quiet = self.record.mark("no load")
            self.seen.told["route"] = callers.stop()
        self._ends("classifier", begun)

    def nothing_is_loaded(self) -> None:
        for workload, least in (("backend-weak", 1), ("classifier", 1), ("router", 2)):
            self.record.wait(workload, partial(_has, least), seconds=IN_SECONDS)
        self.seen.back = self.record.mark("all are in") - self.seen.quiet

    def _grows(self, workload: str, replicas: int, begun: float) -> None:
        at = self.record.wait(workload, lambda point: point.ready >= replicas, seconds=OUT_SECONDS)
        self.seen.out[workload] = at - begun

    def _look(self, *components: str) -> None:
        """Watch them over the same seconds, so that none is given longer than another."""
        with ThreadPoolExecutor() as pool:
            seen = pool.map(self._spread, components)
            self.seen.shares |= {name: each.least for name, each in zip(components, seen, strict=True)}

    def _spread(self, component: str) -> Spread:
        counter = {"backend": BACKEND, "router": ROUTER, "classifier": CLASSIFIER}[component]
        tier = "weak" if component == "backend" else ""
        return spread(self.space, component, counter, tier=tier, seconds=LOOK_SECONDS)

    def _ends(self, phase: str, begun: float) -> None:
        for workload in ("backend-weak", "backend-strong", "classifier", "router"):
            self.seen.most[phase, workload] = self.record.most(workload, since=begun)


def _has(replicas: int, point: Point) -> bool:
    return point.wanted == point.ready == replicas


@pytest.fixture(scope="module")
def observed(
    release: Release, image_values: Values, caller: Image, artefacts: Path, figures: Figures
) -> Observed:
    seen, space = Observed(), release.namespace
    release.install(image_values, SMALL, SCALED)
    with recording(space, artefacts / "scaling") as record:
        run = Run(space, record, caller, seen)
        with calling(space, caller, *STEADY, options=("--pause=0.5", "--distinct")) as steady:
            steady.wait_for_answers(4, seconds=60)
            run.weak_is_loaded()
            run.classifier_is_loaded()
            run.nothing_is_loaded()
            seen.told["steady"] = steady.stop()
    figures.keep("scaling", **_as_figures(seen))
    return seen


def _as_figures(seen: Observed) -> dict[str, object]:
    return {
        "seconds_out": seen.out,
        "seconds_in": seen.back,
        "least_part_of_fair_share": seen.shares,
        "most": {f"{phase}: {workload}": number for (phase, workload), number in seen.most.items()},
        "answered": {name: told.total for name, told in seen.told.items()},
        "failed": {name: told.failed.total() for name, told in seen.told.items()},
        "latency": {name: told.latency for name, told in seen.told.items()},
    }


def test_load_on_weak_scales_weak_out_and_strong_not(observed: Observed) -> None:
    assert observed.most["weak", "backend-weak"] == 3
    assert observed.most["weak", "backend-strong"] == 1


def test_load_on_the_classifier_scales_the_classifier_out(observed: Observed) -> None:
    assert observed.most["weak", "classifier"] == 1
    assert observed.most["classifier", "classifier"] == 3


@pytest.mark.parametrize("component", ["router", "backend", "classifier"])
def test_each_replica_gets_at_least_half_of_its_fair_share_within_30_seconds(
    observed: Observed, component: str
) -> None:
    assert observed.shares[component] >= FAIR


def test_no_request_fails_in_the_whole_run(observed: Observed) -> None:
    assert {name: told.failures for name, told in observed.told.items()} == {
        "weak": [],
        "route": [],
        "steady": [],
    }
