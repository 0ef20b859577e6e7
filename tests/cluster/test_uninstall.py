"""What does not make sense is refused with the reason, and what is removed is gone."""

from __future__ import annotations

from typing import Any, Final

import pytest

from cluster.commands import Failed, run
from cluster.kubectl import SECONDS, Namespace
from cluster.release import NAME, Release, Values
from cluster.values import SCALED, SMALL

OF_EVERY_NAMESPACE: Final = frozenset({"configmap/kube-root-ca.crt", "serviceaccount/default"})
NOT_ASKED_FOR: Final = frozenset({"events", "events.events.k8s.io", "pods.metrics.k8s.io"})

NONSENSE: Final[dict[str, tuple[Values, str]]] = {
    "more at least than at most": (
        {"router": {"autoscaling": {"minReplicas": 5, "maxReplicas": 2, "hpa": {"enabled": True}}}},
        "minReplicas (5) is above maxReplicas (2)",
    ),
    "both autoscalers": (
        {"router": {"autoscaling": {"hpa": {"enabled": True}, "keda": {"enabled": True}}}},
        "hpa and keda are both enabled",
    ),
    "a key that is not known": ({"routr": {}}, "routr"),
    "a tier that is not there": ({"policies": {"auto": {"tiers": ["weak", "best"]}}}, "best"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_values_that_make_no_sense_are_refused_with_the_reason(release: Release, what: str) -> None:
    values, reason = NONSENSE[what]
    with pytest.raises(Failed) as failed:
        release.apply("install", values)
    assert reason in str(failed.value)


WITH_TOKENS: Final[Values] = {
    "router": {"identity": {"serviceAccounts": {"rules": [{"namespace": "team-*"}]}}}
}
"""Values that make a ClusterRole."""


def everything_in(space: Namespace) -> set[str]:
    """Names of all resources of a namespace but those that each has."""
    kinds = run(
        ["kubectl", "api-resources", "--namespaced", "--verbs=list", "--output=name"], seconds=SECONDS
    )
    asked_for = ",".join(sorted(set(kinds.split()) - NOT_ASKED_FOR))
    found = space.kubectl("get", asked_for, "--output=name", "--ignore-not-found")
    return set(found.split()) - OF_EVERY_NAMESPACE


def cluster_wide() -> set[str]:
    """Resources outside namespaces that belong to a release of ours."""
    label = f"--selector=app.kubernetes.io/instance={NAME}"
    kinds = "clusterroles,clusterrolebindings,validatingwebhookconfigurations,apiservices"
    return set(run(["kubectl", "get", kinds, label, "--output=name"], seconds=SECONDS).split())


def test_removing_it_leaves_the_users_policies_and_nothing_else(
    release: Release, image_values: Values
) -> None:
    space = release.namespace
    before = cluster_wide()
    release.install(image_values, SMALL, SCALED, WITH_TOKENS)
    space.apply(policy("mine"))
    assert len(cluster_wide() - before) == 2  # leave to review tokens, and its binding
    with pytest.raises(Failed, match="release steersman in this namespace has one too"):
        release.apply("install", name="another")

    release.uninstall()
    release.settled()

    assert everything_in(space) == {"routingpolicy.steersman.dev/mine"}
    assert cluster_wide() <= before


def policy(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "steersman.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": name},
        "spec": {"tiers": ["weak", "strong"], "threshold": 0.5},
    }
