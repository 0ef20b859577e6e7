"""Callers that are told apart: the Secret of keys in the router, a key for `helm test`, what tenants may ask for."""

from __future__ import annotations

import yaml

from chart.rendering import Release, nested, refused, render
from steersman.router import catalogue


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
        "search": {"policies": ["auto"], "defaultPolicy": "auto"},
        "mail": {"tiers": ["weak"], "limits": limits},
        "ops": {},
    }
    release = render(nested("tenants", tenants))
    text = release.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"]
    read = catalogue.parse(text.encode(), environment={})
    assert read.tenants is not None
    assert read.rights("search").policies == frozenset({"auto"})
    assert read.rights("search").default_policy == "auto"
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
