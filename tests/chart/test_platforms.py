"""What platform teams have around the chart: mirrors, users by namespace, quotas, GitOps, other releases."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chart.rendering import Release, nested, render, values_of

_BYTES = {"Mi": 2**20, "Gi": 2**30}


def _containers(release: Release) -> list[Any]:
    return [
        container
        for _, pod in release.pods()
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    ]


def test_one_value_takes_every_image_from_a_mirror(gpu: Release, default: Release) -> None:
    mirrored = [
        container["image"]
        for variant in ("gpu", "default")
        for container in _containers(
            render({**values_of(variant), "image": {"mirror": "mirror.example.com/ai/"}})
        )
    ]
    direct = [container["image"] for release in (gpu, default) for container in _containers(release)]

    assert mirrored == [f"mirror.example.com/ai/{image.partition('/')[2]}" for image in direct]
    assert "mirror.example.com/ai/library/redis:7-bookworm" in mirrored
    assert "mirror.example.com/ai/vllm/vllm-openai:v0.11.0" in mirrored


def test_a_registry_that_has_no_host_is_kept_behind_the_mirror() -> None:
    release = render({"image": {"registry": "team", "mirror": "localhost:5000"}})

    assert release.container("steersman-router")["image"] == "localhost:5000/team/steersman-router:0.1.0"


def test_every_pod_may_pull_from_a_registry_that_wants_credentials(everything: Release) -> None:
    assert all(pod["imagePullSecrets"] == [{"name": "registry"}] for _, pod in everything.pods())


def test_users_can_be_left_to_the_platform() -> None:
    """OpenShift refuses pods that name a user or a group; it gives each namespace its own."""
    release = render({"runAsUser": None})

    for _, pod in release.pods():
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_names_are_resolved_at_other_ports_where_the_cluster_does_so() -> None:
    release = render(nested("networkPolicy.dnsPorts", [5353]))
    rule = release.one("NetworkPolicy", "steersman-router")["spec"]["egress"][0]

    assert rule["ports"] == [{"protocol": protocol, "port": 5353} for protocol in ("UDP", "TCP")]


def test_a_quota_on_every_resource_can_be_met() -> None:
    limited = {"resources": {"limits": {"cpu": "1", "ephemeral-storage": "2Gi"}}}
    parts = ("router", "classifier", "redis", "scaler", "controller", "tests")
    engine = {"engine": limited, "autoscaling": {"keda": {"enabled": True}}}
    release = render({**dict.fromkeys(parts, limited), "tierDefaults": {**limited, **engine}})

    for container in _containers(release):
        assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}


def test_a_first_install_fits_two_processors_and_four_gibibytes_with_room_for_others(
    default: Release,
) -> None:
    requests = [
        (deployment["spec"]["replicas"], container["resources"]["requests"])
        for deployment in default.of("Deployment")
        for pod in [deployment["spec"]["template"]["spec"]]
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    ]

    assert sum(pods * _millicores(each["cpu"]) for pods, each in requests) <= 1000
    assert sum(pods * _size(each["memory"]) for pods, each in requests) <= 3 * 2**30


def _millicores(quantity: str) -> int:
    return int(quantity.removesuffix("m")) * (1 if quantity.endswith("m") else 1000)


def _size(quantity: str) -> int:
    return int(quantity[:-2]) * _BYTES[quantity[-2:]]


def test_a_priority_class_reaches_every_pod(everything: Release) -> None:
    assert {pod["priorityClassName"] for _, pod in everything.pods()} == {"serving"}


@pytest.mark.parametrize("variant", ["default", "gpu", "everything", "hpa", "cert-manager"])
def test_two_renders_are_alike_where_secrets_are_made_elsewhere(variant: str) -> None:
    """A tool that renders the chart again and again, such as Argo CD, would otherwise change keys each time."""
    values = values_of(variant)
    values["cache"] = {**values.get("cache", {}), "hmacKey": {"existingSecret": "steersman-cache-key"}}
    router = values.get("router", {})
    values["router"] = {**router, "identity": {**router.get("identity", {}), "keysSecret": "steersman-keys"}}

    assert render(values).manifests == render(values).manifests


def test_everything_is_of_the_namespace_unless_tokens_are_reviewed(release: Release) -> None:
    """A team that has a namespace and no more can install it; the definition of RoutingPolicy aside."""
    of_cluster = [manifest for manifest in release.manifests if "namespace" not in manifest["metadata"]]

    assert {manifest["kind"] for manifest in of_cluster} <= {"ClusterRole", "ClusterRoleBinding"}
    assert bool(of_cluster) == ("STEERSMAN_IDENTITY__SERVICE_ACCOUNTS__RULES" in str(release.manifests))


def test_two_releases_of_a_namespace_have_no_resource_in_common(default: Release) -> None:
    def names(release: Release) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in release.manifests}

    assert names(default).isdisjoint(names(render(name="other")))


def test_an_engine_whose_image_knows_no_user_is_told_a_name(default: Release) -> None:
    """PyTorch asks for the user's name as it starts, and ends where there is none."""
    environment = default.environment("steersman-backend-weak", "engine")

    assert environment["USER"] == "engine"
    assert environment["HOME"] == "/tmp"  # noqa: S108 - the engine's own, a volume


def test_what_helm_says_tells_how_to_call_it(default: Release, everything: Release) -> None:
    assert "http://steersman-router.models:8080/v1" in default.notes
    assert "dns:///steersman-router-headless.models:9000" in default.notes
    assert "helm --namespace models test steersman" in default.notes
    assert "The chart made the first one, which Secret steersman-first-key holds" in default.notes
    assert "WARNING" not in default.notes
    opened = render({"router": {"identity": {"enabled": False}}})
    assert "WARNING: callers are not told apart" in opened.notes
    assert "The small engines are for trying" in default.notes
    assert "https://steersman.example.com/v1" in everything.notes
    assert "API key of the Secret steersman-keys" in everything.notes
    assert "WARNING" not in everything.notes


def test_what_helm_says_of_tls_is_how_to_trust_it(releases: dict[str, Release]) -> None:
    notes = releases["tls"].notes

    assert re.search(r"get secret steersman-router-tls .* > ca\.crt", notes)
    assert "--cacert ca.crt https://localhost:8080" in notes
    assert "at least every 365 days" in notes
