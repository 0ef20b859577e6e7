"""The GPU variant's pods go to nodes with GPUs, and nothing else does.

Scheduling alone: a node claims GPUs that it does not have, and no image needs to run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from cluster.commands import run
from cluster.kubectl import SECONDS, Namespace
from cluster.release import CHART, Release, Values

SCHEDULED_SECONDS: Final = 60.0
CAPACITY: Final = "/status/capacity/nvidia.com~1gpu"
LABEL: Final = "nvidia.com/gpu.present"
TAINT: Final = "nvidia.com/gpu=present:NoSchedule"
WITH_GPUS: Final = frozenset({"classifier", "backend"})

_SMALL: Final = {"cpu": "20m", "memory": "64Mi"}
NO_MACHINE_FOR_IT: Final[Values] = {
    "tiers": {
        name: {"engine": {"resources": {"requests": _SMALL}}, "resources": {"requests": _SMALL}}
        for name in ("weak", "strong")
    },
    "router": {"resources": {"requests": _SMALL}},
    "classifier": {"resources": {"requests": _SMALL}},
    "serviceMonitor": {"enabled": False},
    "prometheusRule": {"enabled": False},
}
"""The example for production, with requests that fit a small machine; its GPUs stay as they are."""


def kubectl(*arguments: str) -> str:
    return run(["kubectl", *arguments], seconds=SECONDS)


@pytest.fixture(scope="module")
def gpu_node(running_cluster: None) -> Iterator[str]:  # noqa: ARG001 - has to be there
    """A node that says it has 8 GPUs, and is kept free of other pods."""
    nodes = [
        node["metadata"]["name"] for node in json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    ]
    if len(nodes) == 1:
        pytest.skip("one node cannot show that pods stay away from another")
    node = max(nodes)
    _patch(node, "add", "8")
    kubectl("label", "node", node, f"{LABEL}=true")
    kubectl("taint", "node", node, TAINT)
    try:
        yield node
    finally:
        kubectl("taint", "node", node, f"{TAINT}-")
        kubectl("label", "node", node, f"{LABEL}-")
        _patch(node, "remove")


def _patch(node: str, operation: str, *value: str) -> None:
    patch = {"op": operation, "path": CAPACITY, **({"value": value[0]} if value else {})}
    kubectl("patch", "node", node, "--subresource=status", "--type=json", f"--patch={json.dumps([patch])}")


@pytest.fixture(scope="module")
def pods(release: Release, gpu_node: str) -> list[dict[str, Any]]:
    """All pods, each with a place."""
    assert gpu_node
    example = yaml.safe_load((CHART / "values-gpu.yaml").read_text())
    release.apply("install", example, NO_MACHINE_FOR_IT)
    return _placed(release.namespace)


def _placed(space: Namespace) -> list[dict[str, Any]]:
    end = time.monotonic() + SCHEDULED_SECONDS
    while True:
        found: list[dict[str, Any]] = space.get("pods")["items"]
        wanted = {"router", "scaler", *WITH_GPUS}
        placed = {_component(pod) for pod in found if "nodeName" in pod["spec"]}
        if placed >= wanted and all("nodeName" in pod["spec"] for pod in found):
            return found
        assert time.monotonic() < end, f"placed are pods of {sorted(placed)} only"
        time.sleep(1)


def _component(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["app.kubernetes.io/component"])


def test_pods_with_gpus_go_to_the_node_that_has_some(pods: list[dict[str, Any]], gpu_node: str) -> None:
    assert {pod["spec"]["nodeName"] for pod in pods if _component(pod) in WITH_GPUS} == {gpu_node}


def test_other_pods_stay_away_from_it(pods: list[dict[str, Any]], gpu_node: str) -> None:
    others = [pod["spec"]["nodeName"] for pod in pods if _component(pod) not in WITH_GPUS]
    assert others
    assert gpu_node not in others
