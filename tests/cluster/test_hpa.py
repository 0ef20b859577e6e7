"""Without KEDA, a HorizontalPodAutoscaler on CPU scales the router out, and its callers do not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cluster.callers import calling
from cluster.figures import Figures
from cluster.images import Image
from cluster.release import Release, Values
from cluster.replicas import recording
from cluster.values import QUICKLY, SMALL

OUT_SECONDS: Final = 150.0
"""Metrics of pods are 10 to 15 s old, and the controller looks every 15 s."""
ON_CPU: Final[Values] = {
    "router": {"replicas": 1, "autoscaling": {"minReplicas": 1, "maxReplicas": 3, "hpa": {"enabled": True}}},
    "defaults": {"autoscaling": {"behavior": QUICKLY}},
    "runAsUser": 1000650000,  # of which no image knows anything, as where a platform gives out users
}


def test_load_scales_the_router_out(
    release: Release, image_values: Values, caller: Image, artefacts: Path, figures: Figures
) -> None:
    space = release.namespace
    release.install(image_values, SMALL, ON_CPU)
    with recording(space, artefacts / "hpa") as record:
        begun = record.mark("load")
        with calling(space, caller, "16:route:auto") as callers:
            out = record.wait("router", lambda point: point.ready > 1, seconds=OUT_SECONDS) - begun
            callers.wait_for_answers(callers.told().total + 1000, seconds=60)
            told = callers.stop()

    figures.keep("hpa", seconds_out=round(out, 1), answered=told.total, failed=told.failed.total())
    assert told.failures == []
