"""Callers that are told apart: the Secret of keys in the router, a key for `helm test`, what tenants may ask for."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from chart.rendering import Release, nested, refused, render
from steersman.identity import key_file
from steersman.router import catalogue
from steersman.router.settings import ServiceAccounts


def test_by_default_the_chart_makes_a_first_key_that_the_router_knows(default: Release) -> None:
    text = _secret(default, "steersman-first-key")["api-key"]
    ring = key_file.parse(_secret(default, "steersman-keys")["keys.yaml"].encode())
    owner = ring.owner(text)
    assert owner is not None
    assert (owner.tenant, owner.works_at(datetime.now(UTC))) == ("default", True)
    environment = default.environment("steersman-router")
    assert environment["STEERSMAN_IDENTITY__KEYS_SECRET"] == "steersman-keys"  # noqa: S105 - a name
    assert environment["STEERSMAN_IDENTITY__KEY_FILE"] == "/etc/steersman-keys/keys.yaml"
    assert text not in _secret(default, "steersman-keys")["keys.yaml"]


def test_the_first_key_is_in_no_pod_but_that_of_helm_test(default: Release) -> None:
    assert [name for name, pod in default.pods() if "first-key" in str(pod)] == ["steersman-test"]
    (query,) = default.one("Pod", "steersman-test")["spec"]["containers"]
    (variable,) = query["env"]
    assert variable["valueFrom"]["secretKeyRef"]["name"] == "steersman-first-key"


def test_no_two_installs_have_the_same_first_key(default: Release) -> None:
    keys = {_secret(each, "steersman-first-key")["api-key"] for each in (default, render(), render())}
    assert len(keys) == 3


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param({"enabled": False}, id="off"),
        pytest.param({"keysSecret": "mine"}, id="keys of one's own"),
        pytest.param({"serviceAccounts": {"rules": [{"namespace": "a"}]}}, id="tokens"),
    ],
)
def test_where_there_are_other_ways_or_none_there_is_no_first_key(identity: dict[str, Any]) -> None:
    release = render(nested("router.identity", identity))
    assert not {"steersman-keys", "steersman-first-key"} & release.names("Secret")
    assert "env" not in release.one("Pod", "steersman-test")["spec"]["containers"][0]


def test_off_means_that_nobody_is_told_apart() -> None:
    release = render(nested("router.identity", {"enabled": False}))
    assert "STEERSMAN_IDENTITY__KEY_FILE" not in release.environment("steersman-router")
    assert {volume["name"] for volume in release.pod("steersman-router")["volumes"]} == {"policies", "tmp"}
    with refused("which enabled: false forbids"):
        render(nested("router.identity", {"enabled": False, "keysSecret": "mine"}))


def test_tenants_without_that_of_the_first_key_are_refused() -> None:
    with refused("the key that the chart makes is of the tenant default"):
        render(nested("tenants", {"search": {}}))


def _secret(release: Release, name: str) -> dict[str, str]:
    return {
        key: base64.b64decode(value).decode() for key, value in release.one("Secret", name)["data"].items()
    }


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
        "default": {},
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
    name = "steersman:models:steersman-router:tokenreviews"  # no other release can come to it
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == name
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


ISSUER = {"name": "https://issuer.example.com", "keysUrl": "https://issuer.example.com/keys"}


def test_an_issuers_keys_need_no_leave_of_the_cluster_and_a_way_out() -> None:
    release = render(
        {
            "router": {
                "identity": {"serviceAccounts": {"rules": [{"namespace": "team-*"}], "issuer": ISSUER}},
                "policies": {"fromResources": False},
                "discovery": "dns",
            },
            "networkPolicy": {"enabled": True},
        }
    )
    assert release.of("ClusterRole", "ClusterRoleBinding") == []
    assert release.pod("steersman-router")["automountServiceAccountToken"] is False
    environment = release.environment("steersman-router")
    told = [
        environment[f"STEERSMAN_IDENTITY__SERVICE_ACCOUNTS__ISSUER__{name}"] for name in ("NAME", "KEYS_URL")
    ]
    assert told == list(ISSUER.values())
    egress = release.one("NetworkPolicy", "steersman-router")["spec"]["egress"]
    assert any(port["port"] == 443 for rule in egress for port in rule.get("ports", []))


@pytest.mark.parametrize(
    "issuer", [{"name": "https://issuer.example.com"}, {**ISSUER, "keysUrl": "http://x"}]
)
def test_an_issuer_that_the_router_would_refuse_is_refused(issuer: dict[str, str]) -> None:
    with refused("issuer"):
        render(nested("router.identity.serviceAccounts.issuer", issuer))


@pytest.mark.parametrize("rule", [{}, {"namespace": "Search"}, {"namespace": "a", "tenants": "b"}])
def test_a_rule_that_the_router_would_refuse_is_refused(rule: dict[str, str]) -> None:
    with refused("rules"):
        render(nested("router.identity.serviceAccounts", {"rules": [rule]}))
