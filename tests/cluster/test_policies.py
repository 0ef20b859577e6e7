"""A RoutingPolicy as a platform engineer knows it: applied, changed, broken, and its status filled in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from cluster.callers import asked
from cluster.commands import Failed
from cluster.figures import Figures
from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import Release, Values
from cluster.values import SMALL

NAME: Final = "careful"
PROGRAMMED_SECONDS: Final = 30.0


def policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "steersman.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": NAME},
        "spec": {"tiers": ["weak", "strong"], **spec},
    }


@pytest.fixture(scope="module")
def installed(release: Release, image_values: Values) -> Namespace:
    release.install(image_values, SMALL)
    return release.namespace


def condition(resource: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        (each for each in resource.get("status", {}).get("conditions", []) if each["type"] == kind), {}
    )
    return found


def programmed(resource: dict[str, Any]) -> bool:
    """Whether all routers decide by the newest generation."""
    said = condition(resource, "Programmed")
    newest = said.get("observedGeneration") == resource["metadata"]["generation"]
    return bool(newest and said["status"] == "True")


def until(space: Namespace, holds: Callable[[dict[str, Any]], bool], *, seconds: float) -> dict[str, Any]:
    """The resource, once something holds of it."""
    end = time.monotonic() + seconds
    while True:
        resource: dict[str, Any] = space.get("routingpolicy", NAME)
        if holds(resource):
            return resource
        assert time.monotonic() < end, f"not within {seconds} s: {resource.get('status')}"
        time.sleep(0.2)


@pytest.mark.parametrize(("threshold", "tier"), [(0.0, "strong"), (1.0, "weak")])
def test_it_is_in_force_everywhere_once_it_says_so(
    installed: Namespace, caller: Image, figures: Figures, threshold: float, tier: str
) -> None:
    begun = time.monotonic()
    installed.apply(policy(threshold=threshold))
    resource = until(installed, programmed, seconds=PROGRAMMED_SECONDS)
    figures.keep(f"policy for {tier}", seconds_until_programmed=round(time.monotonic() - begun, 2))

    told = asked(installed, caller, f"2:route:{NAME}", options=("--most=10", "--distinct"))

    assert resource["status"]["routers"] == {"holding": 2, "total": 2}
    assert resource["status"]["boundaries"] == [threshold]
    assert told.failures == []
    assert told.of(tier) == told.total == 20


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"threshold": 0.5, "boundaries": [0.5]}, "threshold and boundaries say the same; keep one of them"),
        ({}, "say where a query moves to a dearer tier"),
        ({"tiers": ["weak", "weak"], "threshold": 0.5}, "name each tier once"),
    ],
)
def test_the_api_server_refuses_a_broken_one_with_a_message_that_helps(
    installed: Namespace, broken: dict[str, Any], message: str
) -> None:
    with pytest.raises(Failed) as refused:
        installed.apply(policy(**broken))
    assert message in str(refused.value)


def test_one_that_names_a_tier_that_is_not_there_says_so_and_the_one_before_stays(
    installed: Namespace, caller: Image
) -> None:
    installed.apply(policy(tiers=["weak", "best"], threshold=0.5))

    resource = until(
        installed,
        lambda seen: condition(seen, "Accepted").get("status") == "False",
        seconds=PROGRAMMED_SECONDS,
    )
    told = asked(installed, caller, f"1:route:{NAME}", options=("--most=2", "--distinct"))

    assert "best" in condition(resource, "Accepted")["message"]
    assert told.failures == []
