"""The controller: two replicas that share a Lease, with as little of the Kubernetes API as they need."""

from __future__ import annotations

import pytest

from chart.rendering import Release, nested, refused, render


def test_a_first_install_has_two_of_them_with_a_lease_of_the_release(default: Release) -> None:
    environment = default.environment("steersman-controller")

    assert default.one("Deployment", "steersman-controller")["spec"]["replicas"] == 2
    assert environment["STEERSMAN_KUBERNETES__NAMESPACE"] == "models"
    assert environment["STEERSMAN_ELECTION__LEASE"] == "steersman-controller"
    assert environment["STEERSMAN_ROUTERS__TARGET"] == "dns:///steersman-router-headless:9000"


def test_two_releases_in_one_namespace_have_a_lease_each() -> None:
    environment = render(name="other").environment("other-steersman-controller")

    assert environment["STEERSMAN_ELECTION__LEASE"] == "other-steersman-controller"


def test_it_may_read_policies_write_their_status_hold_its_lease_record_events_and_no_more(
    default: Release,
) -> None:
    allowed = {
        (group, resource, verb, *rule.get("resourceNames", []))
        for rule in default.one("Role", "steersman-controller")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    assert allowed == {
        ("steersman.dev", "routingpolicies", "list"),
        ("steersman.dev", "routingpolicies", "watch"),
        ("steersman.dev", "routingpolicies/status", "patch"),
        ("coordination.k8s.io", "leases", "get", "steersman-controller"),
        ("coordination.k8s.io", "leases", "update", "steersman-controller"),
        ("events.k8s.io", "events", "create"),
    }
    assert default.of("ClusterRole", "ClusterRoleBinding") == []


@pytest.mark.parametrize("value", ["controller.enabled", "router.policies.fromResources"])
def test_there_is_none_where_it_is_not_wanted_or_would_have_nothing_to_tell(value: str) -> None:
    release = render(nested(value, value=False))

    assert [
        manifest["metadata"]["name"]
        for manifest in release.manifests
        if "controller" in manifest["metadata"]["name"]
    ] == []


def test_its_settings_can_be_set_except_the_lease_that_its_role_names() -> None:
    release = render(nested("controller.settings", {"ELECTION__DURATION_SECONDS": 20}))

    assert release.environment("steersman-controller")["STEERSMAN_ELECTION__DURATION_SECONDS"] == "20"
    with refused("belongs to the chart"):
        render(nested("controller.settings", {"ELECTION__LEASE": "mine"}))


def test_its_lease_belongs_to_the_release_so_that_it_goes_with_it(default: Release) -> None:
    lease = default.one("Lease", default.environment("steersman-controller")["STEERSMAN_ELECTION__LEASE"])

    assert "spec" not in lease  # which is the controllers' alone
