"""Callers that are told apart: the Secret of keys in the router, a key for `helm test`, what tenants may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from chart.rendering import Release, nested, refused, render
from steersman.router import catalogue
from steersman.router.settings import ServiceAccounts


def test_without_a_secret_of_keys_callers_are_not_told_apart(default: Release) -> None:
    assert "STEERSMAN_IDENTITY__KEY_FILE" not in default.environment("steersman-router")
    assert {volume["name"] for volume in default.pod("steersman-router")["volumes"]} == {"policies", "tmp"}


def test_the_secret_of_keys_is_a_folder_in_the_router_so_that_changes_come_in() -> None:
    release = render(nested("router.identity", {"keysSecret": "team-keys", "key": "all.yaml"}))
    (volume,) = (each for each in release.pod("steersman-router")["volumes"] if each["name"] == "keys")
    (mount,) = (
        each for each in release.container("steersman-router")["volumeMounts"] if each["name"] == "keys"
    )
    assert volume["secret"] == {"secretName": "team-keys"}
    assert mount == {"name": "keys", "mountPath": "/etc/steersman-keys", "readOnly": True}
    assert (
        release.environment("steersman-router")["STEERSMAN_IDENTITY__KEY_FILE"]
        == "/etc/steersman-keys/all.yaml"
    )


def test_helm_test_shows_a_key_of_its_own() -> None:
    release = render(nested("tests.apiKey.existingSecret", "test-key"))
    (query,) = release.one("Pod", "steersman-test")["spec"]["containers"]
    (variable,) = query["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "test-key", "key": "api-key"}


def test_what_tenants_may_ask_for_is_as_the_router_reads_it() -> None:
    limits = {
        "requestsPerMinute": 600,
        "usdPerDay": 2.5,
        "concurrentRequests": 20,
        "whenStrongIsSpent": "weak",
    }
    tenants = {
        "search": {"policies": ["auto"], "defaultPolicy": "auto", "weight": 2.5},
        "mail": {"tiers": ["weak"], "limits": limits},
        "ops": {},
    }
    release = render(nested("tenants", tenants))
    text = release.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"]
    read = catalogue.parse(text.encode(), environment={})
    assert read.tenants is not None
    assert read.rights("search").policies == frozenset({"auto"})
    assert read.rights("search").default_policy == "auto"
    assert (read.rights("search").weight, read.rights("ops").weight) == (2.5, 1.0)
    assert read.rights("mail").tiers == frozenset({"weak"})
    assert [(each.name, each.amount) for each in read.rights("mail").quotas.all] == [
        ("requests_per_minute", 600),
        ("usd_per_day", 2.5),
        ("concurrent_requests", 20),
    ]
    assert read.rights("mail").quotas.weak_when_spent
    assert read.rights("ops").policies is None


def test_without_tenants_the_router_is_told_of_none(default: Release) -> None:
    assert "tenants" not in yaml.safe_load(
        default.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"]
    )


def test_a_misspelt_right_is_refused() -> None:
    with refused("tenants"):
        render(nested("tenants", {"search": {"policy": "auto"}}))


def _rules(release: Release) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = release.one("Role", "steersman-router")["rules"]
    return found


def test_the_router_may_follow_the_one_secret_of_keys_and_see_no_other() -> None:
    release = render(nested("router.identity", {"keysSecret": "team-keys", "key": "all.yaml"}))
    (rule,) = (each for each in _rules(release) if "secrets" in each["resources"])
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["team-keys"],
        "verbs": ["list", "watch"],
    }
    environment = release.environment("steersman-router")
    told = [environment[f"STEERSMAN_IDENTITY__KEYS_{name}"] for name in ("SECRET", "ENTRY")]
    assert told == ["team-keys", "all.yaml"]


def test_the_secret_can_be_had_from_the_mounted_file_alone() -> None:
    release = render(nested("router.identity", {"keysSecret": "team-keys", "watchKeys": False}))
    assert not [each for each in _rules(release) if "secrets" in each["resources"]]
    environment = release.environment("steersman-router")
    assert "STEERSMAN_IDENTITY__KEYS_SECRET" not in environment
    assert environment["STEERSMAN_IDENTITY__KEY_FILE"] == "/etc/steersman-keys/keys.yaml"


def test_tokens_are_reviewed_by_leave_of_the_cluster_only_where_rules_say_so(default: Release) -> None:
    assert default.of("ClusterRole", "ClusterRoleBinding") == []
    rules = [{"namespace": "team-*"}, {"namespace": "batch", "name": "nightly", "tenant": "reports"}]
    release = render(
        {
            "router": {
                "identity": {"serviceAccounts": {"rules": rules, "audience": "ours"}},
                "policies": {"fromResources": False},
                "discovery": "dns",
            }
        }
    )
    (role, binding) = (release.of(kind)[0] for kind in ("ClusterRole", "ClusterRoleBinding"))
    assert role["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "models-steersman-router-tokenreviews"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "steersman-router", "namespace": "models"}
    ]
    assert release.pod("steersman-router")["automountServiceAccountToken"] is True
    environment = {
        name.removeprefix("STEERSMAN_IDENTITY__SERVICE_ACCOUNTS__").lower(): value
        for name, value in release.environment("steersman-router").items()
        if "SERVICE_ACCOUNTS__" in name
    }
    read = ServiceAccounts.model_validate(
        {name: json.loads(value) if name == "rules" else value for name, value in environment.items()}
    )
    assert (read.audience, read.fresh_seconds, read.stale_seconds) == ("ours", 60, 600)
    assert [(each.namespace, each.name, each.tenant) for each in read.rules] == [
        ("team-*", "*", ""),
        ("batch", "nightly", "reports"),
    ]


@pytest.mark.parametrize("rule", [{}, {"namespace": "Search"}, {"namespace": "a", "tenants": "b"}])
def test_a_rule_that_the_router_would_refuse_is_refused(rule: dict[str, str]) -> None:
    with refused("rules"):
        render(nested("router.identity.serviceAccounts", {"rules": [rule]}))
