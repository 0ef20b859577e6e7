"""Every manifest, of every variant, by the rules of Kubernetes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from chart import kubernetes_schemas
from chart.rendering import CHART, VARIANTS, Manifest, Release, render, values_of

_NAME = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]


@pytest.mark.parametrize("version", kubernetes_schemas.SUPPORTED)
def test_kubernetes_accepts_every_manifest(release: Release, version: str) -> None:
    faults = {
        _identity(manifest): kubernetes_schemas.faults(manifest, version)
        for manifest in release.manifests
        if _identity(manifest)[:2] not in kubernetes_schemas.CUSTOM
    }

    assert {identity: found for identity, found in faults.items() if found} == {}


def test_the_schemas_refuse_a_field_that_does_not_exist(default: Release) -> None:
    service = default.one("Service", "steersman-router")

    assert kubernetes_schemas.faults({**service, "spec": {**service["spec"], "typo": 1}}, "1.34")


def test_nothing_is_rendered_twice(release: Release) -> None:
    identities = [_identity(manifest) for manifest in release.manifests]

    assert len(identities) == len(set(identities))


def test_names_fit_also_behind_the_longest_release_name_and_tier() -> None:
    release = render(
        {"tiers": {"a-tier-of-20-letters": {}}}, name="a-release-with-a-very-long-name-for-a-test"
    )

    assert [name for manifest in release.manifests if not _NAME.match(name := _identity(manifest)[2])] == []


@pytest.mark.parametrize("word", ["20260101", "true", "null", "0x1f"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_names_that_yaml_would_read_as_something_else_are_names(variant: str, word: str) -> None:
    odd, plain = _named(word, variant), _named("plain", variant)

    assert Counter(_no_text(odd.manifests)) == Counter(_no_text(plain.manifests))


def _named(word: str, variant: str) -> Release:
    """A release and its namespace that both have this name, as all else that its owner names."""
    values = yaml.safe_load(yaml.safe_dump(values_of(variant)).replace("'20260101'", f"'{word}'"))
    router = values.get("router", {}) | {"serviceAccount": {"name": word}}
    overrides = {"nameOverride": word, "fullnameOverride": word, "router": router}
    return render(values | overrides, name=word, namespace=word)


def _no_text(node: Any) -> Iterator[Any]:
    """Everything in manifests that is no text, keys among it."""
    if isinstance(node, Mapping):
        yield from (key for key in node if not isinstance(key, str))
        node = list(node.values())
    if isinstance(node, Sequence) and not isinstance(node, str):
        for each in node:
            yield from _no_text(each)
    elif not isinstance(node, str):
        yield node


def test_every_resource_is_in_the_release_namespace_and_labelled(release: Release) -> None:
    for manifest in release.manifests:
        labels = manifest["metadata"]["labels"]
        of_cluster = manifest["kind"] in {"ClusterRole", "ClusterRoleBinding"}
        assert manifest["metadata"].get("namespace") == (None if of_cluster else "models")
        assert labels["app.kubernetes.io/instance"] == "steersman"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"] == "steersman-0.1.0"


def test_selectors_find_the_pods_they_are_meant_for_and_no_others(release: Release) -> None:
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in release.of("Deployment")
    }
    for manifest in [*release.of("Service"), *release.of("PodDisruptionBudget"), *release.of("Deployment")]:
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector).items()
        found = [name for name, labels in pods.items() if wanted <= labels.items()]
        assert found == [manifest["metadata"]["name"].removesuffix("-headless")]


def test_ports_that_services_name_exist_in_their_pods(release: Release) -> None:
    for service in release.of("Service"):
        container = release.container(service["metadata"]["name"].removesuffix("-headless"))
        named = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_selectors_hold_nothing_that_an_upgrade_changes(release: Release) -> None:
    """Kubernetes lets nobody change the selector of a Deployment."""
    identity = {"name", "instance", "component"}
    for manifest in release.of("Deployment"):
        labels = {key.rpartition("/")[2] for key in manifest["spec"]["selector"]["matchLabels"]}
        assert labels - {"tier"} == identity


def test_a_new_version_of_the_chart_alone_restarts_nothing(release: Release) -> None:
    for manifest in release.of("Deployment"):
        template = manifest["spec"]["template"]["metadata"]
        assert {"helm.sh/chart", "app.kubernetes.io/version"}.isdisjoint(template["labels"])
        # Envoy's files say nothing of the version: what they hold changes with the settings alone.
        assert not any("checksum" in key for key in template["annotations"] if key != "checksum/envoy")


def test_every_template_says_something_in_some_variant(releases: dict[str, Release]) -> None:
    folder = CHART / "templates"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.yaml")}

    said = frozenset().union(*(release.sources for release in releases.values()))
    assert written - said == {"checks.yaml"}  # which only refuses


def test_no_resource_of_a_kind_that_a_plain_cluster_lacks_is_in_a_first_install(default: Release) -> None:
    kinds = {_identity(manifest)[:2] for manifest in default.manifests}

    assert kinds.isdisjoint(kubernetes_schemas.CUSTOM)
