"""What routers and scalers have of the Kubernetes API: as much as values say, and nothing where they say nothing."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart import kubernetes_schemas
from chart.rendering import CHART, Release, refused, render

CRD = CHART / "crds" / "routingpolicies.yaml"


def _router(*, policies: bool, discovery: str) -> Release:
    router = {
        "policies": {"fromResources": policies},
        "discovery": discovery,
        "identity": {"watchKeys": False},
    }
    return render({"router": router})


def _scaled(discovery: str) -> Release:
    return render(
        {"router": {"discovery": discovery}, "tierDefaults": {"autoscaling": {"keda": {"enabled": True}}}}
    )


def _kubernetes(release: Release, part: str = "router") -> dict[str, Any]:
    prefix = "STEERSMAN_KUBERNETES__"
    environment = release.environment(f"steersman-{part}")
    return {
        name.removeprefix(prefix): value for name, value in environment.items() if name.startswith(prefix)
    }


def _api_server_allowed(release: Release, part: str = "router") -> bool:
    egress = release.one("NetworkPolicy", f"steersman-{part}")["spec"]["egress"]
    return 6443 in [port["port"] for rule in egress for port in rule["ports"]]


def test_the_router_may_list_and_watch_what_it_uses_and_no_more(default: Release) -> None:
    role = default.one("Role", "steersman-router")
    binding = default.one("RoleBinding", "steersman-router")

    assert {(*rule["apiGroups"], *rule["resources"], *rule["verbs"]) for rule in role["rules"]} == {
        ("steersman.dev", "routingpolicies", "list", "watch"),
        ("discovery.k8s.io", "endpointslices", "list", "watch"),
        ("", "secrets", "list", "watch"),
    }
    assert [rule["resourceNames"] for rule in role["rules"] if rule["resources"] == ["secrets"]] == [
        ["steersman-keys"]
    ]
    assert binding["roleRef"]["name"] == "steersman-router"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "steersman-router", "namespace": "models"}
    ]
    assert default.of("ClusterRole", "ClusterRoleBinding") == []


def test_the_router_looks_in_the_namespace_of_the_release(default: Release) -> None:
    assert _kubernetes(default) == {"NAMESPACE": "models", "POLICIES": "true", "ENDPOINT_SLICES": "true"}


@pytest.mark.parametrize(
    ("policies", "discovery", "resources"),
    [(True, "dns", ["routingpolicies"]), (False, "endpointslices", ["endpointslices"])],
)
def test_each_use_of_the_api_can_be_had_without_the_other(
    policies: bool,  # noqa: FBT001 - pytest names it
    discovery: str,
    resources: list[str],
) -> None:
    release = _router(policies=policies, discovery=discovery)

    rules = release.one("Role", "steersman-router")["rules"]
    assert [resource for rule in rules for resource in rule["resources"]] == resources
    assert release.pod("steersman-router")["automountServiceAccountToken"] is True
    assert _api_server_allowed(release)


def test_a_router_that_uses_nothing_of_it_gets_no_token_no_role_and_no_way_there() -> None:
    release = _router(policies=False, discovery="dns")

    assert release.of("Role", "RoleBinding") == []
    assert release.pod("steersman-router")["automountServiceAccountToken"] is False
    assert not _api_server_allowed(release)
    assert _kubernetes(release) == {}


def test_the_scaler_may_list_and_watch_where_routers_are_and_no_more() -> None:
    release = _scaled("endpointslices")

    (rule,) = release.one("Role", "steersman-scaler")["rules"]
    assert rule == {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    }
    assert release.one("RoleBinding", "steersman-scaler")["subjects"][0]["name"] == "steersman-scaler"
    assert release.pod("steersman-scaler")["automountServiceAccountToken"] is True
    assert _kubernetes(release, "scaler") == {"NAMESPACE": "models", "ENDPOINT_SLICES": "true"}
    assert _api_server_allowed(release, "scaler")


def test_a_scaler_that_asks_dns_gets_no_token_no_role_and_no_way_to_the_api_server() -> None:
    release = _scaled("dns")

    assert "steersman-scaler" not in release.names("Role")
    assert release.pod("steersman-scaler")["automountServiceAccountToken"] is False
    assert _kubernetes(release, "scaler") == {}
    assert not _api_server_allowed(release, "scaler")
    target = release.environment("steersman-scaler")["STEERSMAN_ROUTERS__TARGET"]
    assert target == "dns:///steersman-router-headless:9000"


@pytest.mark.parametrize(("discovery", "scheme"), [("dns", "dns"), ("endpointslices", "k8s")])
def test_backends_and_classifier_are_found_in_the_way_that_is_chosen(discovery: str, scheme: str) -> None:
    release = _router(policies=True, discovery=discovery)
    file = yaml.safe_load(release.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"])

    target = release.environment("steersman-router")["STEERSMAN_CLASSIFIER__TARGET"]
    assert target == f"{scheme}:///steersman-classifier:8001"
    assert file["tiers"]["weak"]["upstream"]["target"] == f"{scheme}:///steersman-backend-weak:9000"


def test_a_service_is_found_at_the_port_of_its_pods(default: Release) -> None:
    for service, port in [("steersman-backend-weak", 9000), ("steersman-classifier", 8001)]:
        (grpc,) = (each for each in default.container(service)["ports"] if each["name"] == "grpc")
        assert grpc["containerPort"] == port
        assert default.one("Service", service)["spec"]["clusterIP"] == "None"


def test_another_way_to_find_them_is_refused() -> None:
    with refused("discovery"):
        render({"router": {"discovery": "consul"}})


@pytest.mark.parametrize("version", kubernetes_schemas.SUPPORTED)
def test_kubernetes_accepts_the_definition_of_the_resource(version: str) -> None:
    assert kubernetes_schemas.faults(yaml.safe_load(CRD.read_text()), version) == []


def test_the_definition_is_kept_when_the_chart_is_uninstalled(default: Release) -> None:
    """Helm never removes what is in crds/; a template would go, and take every policy with it."""
    assert default.of("CustomResourceDefinition") == []
    assert CRD.exists()


def test_the_definition_says_what_each_field_means() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]

    assert list(_undescribed({name: schema[name] for name in ("spec", "status")})) == []


def _undescribed(fields: dict[str, Any], where: str = "") -> list[str]:
    found = []
    for name, field in fields.items():
        found += [] if "description" in field else [f"{where}{name}"]
        inner = field.get("items", field).get("properties", {})
        found += _undescribed(inner, f"{where}{name}.")
    return found
