"""Installed with no values: everything is ready, answers, remembers, and can be looked into."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cluster.callers import asked, pod
from cluster.figures import Figures
from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import Release, Values

WAYS = ("1:route:auto", "1:complete:auto", "1:chat:auto", "1:whole:auto", "1:stream:auto")
TRACED = frozenset({"steersman-router", "steersman-backend", "steersman-classifier"})
LOOK = """
import importlib.util, json, os, pathlib, shutil
found = [name for name in ("pip", "setuptools", "wheel", "ensurepip") if importlib.util.find_spec(name)]
found += [name for name in ("gcc", "cc", "make", "git", "pip", "pip3") if shutil.which(name)]
found += [str(path) for path in pathlib.Path("/usr").rglob("pip/__main__.py")]
print(json.dumps({"user": os.getuid(), "found": found, "writable": os.access("/opt", os.W_OK)}))
"""


@pytest.fixture(scope="module")
def installed(release: Release, image_values: Values, figures: Figures) -> Release:
    begun = time.monotonic()
    release.install(image_values)
    figures.keep("install", seconds_until_ready=round(time.monotonic() - begun, 1))
    return release


def test_helm_test_is_green(installed: Release) -> None:
    assert "Phase:          Succeeded" in installed.test()


def test_every_api_answers_through_its_service(installed: Release, caller: Image, figures: Figures) -> None:
    told = asked(installed.namespace, caller, *WAYS, options=("--most=3", "--distinct"))

    assert told.failures == []
    assert told.of("SCORE") + told.of("OUT_OF_DOMAIN") == told.total == 3 * len(WAYS)
    figures.keep("first_answers", answered=told.total, failed=told.failed.total(), latency=told.latency)


def test_the_classifiers_output_is_in_redis(installed: Release, caller: Image) -> None:
    def scores() -> int:
        count = "return #redis.call('KEYS', 'steersman:score:*')"
        command = ("exec", "deployment/steersman-redis", "--", "redis-cli", "EVAL", count, "0")
        return int(installed.namespace.kubectl(*command))

    before = scores()
    asked(installed.namespace, caller, "1:route:auto", options=("--most=1", "--distinct"))

    assert scores() == before + 1


@pytest.mark.parametrize(
    "where",
    [
        ("router", "router"),
        ("controller", "controller"),
        ("classifier", "classifier"),
        ("backend-weak", "backend"),
        ("backend-weak", "engine"),
    ],
    ids="/".join,
)
def test_nothing_that_installs_or_compiles_is_in_an_image(installed: Release, where: tuple[str, str]) -> None:
    deployment, container = where
    command = ("exec", f"deployment/steersman-{deployment}", f"--container={container}")

    seen = json.loads(installed.namespace.kubectl(*command, "--", "python3", "-c", LOOK))

    assert seen == {"user": 65532, "found": [], "writable": False}


def test_a_trace_is_complete_in_a_collector(installed: Release, image_values: Values, caller: Image) -> None:
    space = installed.namespace
    command = ["python", "-m", "cluster.caller.collector"]
    space.apply(
        pod("collector", caller, command=command, port=4318, path="/healthz"), _service("collector", 4318)
    )
    space.wait("condition=Ready", "pod/collector", seconds=60)
    installed.upgrade(image_values, {"otel": {"endpoint": "http://collector:4318", "sampledShare": 1}})

    told = asked(space, caller, "1:chat:auto", options=("--most=5", "--distinct"))

    assert told.failures == []
    assert services_of_one_trace(space, seconds=30) >= TRACED


def services_of_one_trace(space: Namespace, *, seconds: float) -> set[str]:
    """Processes that took part in the trace with the most of them, once it is complete or the time is over."""
    end = time.monotonic() + seconds
    while True:
        best = max((_services(space, trace) for trace in _traces(space)), key=len, default=set())
        if best >= TRACED or time.monotonic() > end:
            return best
        time.sleep(1)


def _traces(space: Namespace) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(space.through("collector", 4318, "traces"))["traces"]
    return found


def _services(space: Namespace, trace: dict[str, Any]) -> set[str]:
    spans = json.loads(space.through("collector", 4318, f"traces/{trace['trace_id']}"))["spans"]
    return {span["service"] for span in spans}


def _service(name: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }
