"""New images, a new policy and the way back, under load: nobody who asks meanwhile notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from cluster import images
from cluster.callers import Callers, asked, calling
from cluster.figures import Figures
from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import NAME, Release, Values, naming
from cluster.values import SMALL

LOAD: Final = ("2:complete:auto", "1:chat:auto", "2:whole:auto", "1:stream:auto", "1:route:auto")
IN_FORCE_SECONDS: Final = 180.0
"""A kubelet takes up to about two minutes to bring a changed ConfigMap into a pod."""
ALL_STRONG: Final[Values] = {"policies": {"auto": {"threshold": 0.0}}}


@pytest.fixture(scope="module")
def newer(running_cluster: None) -> Values:  # noqa: ARG001 - has to be there
    """Values that name another image of the router, with the same code, and that replace all other pods too."""
    return {
        **naming([images.ready("router", edition="-next")]),
        "defaults": {"podAnnotations": {"edition": "next"}},
    }


@pytest.fixture(scope="module")
def load(release: Release, image_values: Values, newer: Values, caller: Image) -> Iterator[Callers]:
    assert newer
    release.install(image_values, SMALL)
    options = ("--distinct", "--pause=0.2")
    with calling(release.namespace, caller, *LOAD, options=options) as callers:
        callers.wait_for_answers(20, seconds=60)
        yield callers


def images_of(space: Namespace, component: str) -> set[str]:
    """Images of the main container of a component's pods."""
    return {pod["spec"]["containers"][0]["image"] for pod in space.pods(component)}


def names_of(space: Namespace) -> set[str]:
    """Names of all pods of the release."""
    return {pod["metadata"]["name"] for pod in space.items("pods", instance=NAME)}


def cache_key(space: Namespace) -> str:
    """The key that hides queries in the cache, which another one would make useless."""
    return str(space.get("secret", f"{NAME}-cache")["data"]["hmac-key"])


def only_strong_answers(space: Namespace, caller: Image) -> bool:
    told = asked(space, caller, "1:route:auto", options=("--most=4", "--distinct"))
    return told.of("strong") == told.total


def until_strong_answers(space: Namespace, caller: Image, *, holds: bool) -> None:
    end = time.monotonic() + IN_FORCE_SECONDS
    while only_strong_answers(space, caller) is not holds:
        assert time.monotonic() < end, "the policy is not in force"


def test_an_upgrade_replaces_every_pod(
    release: Release, load: Callers, image_values: Values, newer: Values
) -> None:
    space = release.namespace
    before, images_before, key = names_of(space), images_of(space, "router"), cache_key(space)
    answered = load.told().total

    release.upgrade(image_values, newer, SMALL)
    release.settled()

    assert cache_key(space) == key
    assert before.isdisjoint(names_of(space))
    assert images_before.isdisjoint(images_of(space, "router"))
    assert load.told().total > answered


def test_an_upgrade_brings_a_new_policy_into_force(
    release: Release, load: Callers, image_values: Values, newer: Values, caller: Image
) -> None:
    running = {pod["metadata"]["name"] for pod in release.namespace.pods("router")}
    assert load.told().total

    release.upgrade(image_values, newer, SMALL, ALL_STRONG)
    until_strong_answers(release.namespace, caller, holds=True)

    assert {
        pod["metadata"]["name"] for pod in release.namespace.pods("router")
    } == running  # nothing restarted


def test_a_rollback_takes_both_back(
    release: Release, load: Callers, image_values: Values, caller: Image
) -> None:
    assert load.told().total
    release.rollback(revision=1)
    release.settled()
    until_strong_answers(release.namespace, caller, holds=False)

    expected = image_values["router"]["image"]["tag"]
    assert {image.rpartition(":")[2] for image in images_of(release.namespace, "router")} == {expected}


def test_no_request_failed_meanwhile(load: Callers, figures: Figures) -> None:
    told = load.stop()

    figures.keep("rollouts", answered=told.total, failed=told.failed.total(), latency=told.latency)
    assert told.failures == []
    assert told.total > 100
