"""What the chart can render is what this cluster's own API server takes, down to the last field.

Kinds that the cluster does not know are left out: those of operators that nobody has installed in it.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import yaml

from cluster.commands import run
from cluster.kubectl import SECONDS, Namespace
from cluster.release import CHART, NAME

EXAMPLES: Final = ("values-gpu.yaml", "ci/everything-values.yaml", "ci/cert-manager-values.yaml")


@pytest.mark.parametrize("values", EXAMPLES)
def test_the_api_server_takes_every_resource(own_namespace: Namespace, values: str) -> None:
    known = kinds(own_namespace)
    resources = [each for each in rendered(own_namespace, values) if kind(each) in known]

    said = own_namespace.kubectl(
        "apply",
        "--dry-run=server",
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}),
    )

    assert said.count("created (server dry run)") == len(resources) > 30


def kinds(space: Namespace) -> set[tuple[str, str]]:
    """Kinds that the cluster knows, with the version of each."""
    rows = (line.split() for line in space.kubectl("api-resources", "--no-headers").splitlines())
    return {(row[-3], row[-1]) for row in rows}


def kind(resource: dict[str, Any]) -> tuple[str, str]:
    return resource["apiVersion"], resource["kind"]


def rendered(space: Namespace, values: str) -> list[dict[str, Any]]:
    """The chart with one of its own examples."""
    version = json.loads(space.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    where = ("--namespace", space.name, "--kube-version", version)
    what = (
        "--values",
        CHART / values,
        "--set",
        "defaults.priorityClassName=",
    )  # a class that this cluster may lack
    text = run(["helm", "template", NAME, CHART, *where, *what], seconds=SECONDS)
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
