"""Prompts kept for labelling: none by default, and none without the Secret of keys that seals them."""

from __future__ import annotations

from chart.rendering import Release, Values, nested, refused, render
from steersman.router import catalogue
from steersman.router.settings import PromptCapture

TENANTS: Values = {"search": {"capture": {"auto": 0.05}}, "default": {}}


def test_by_default_the_router_has_no_keys_and_keeps_no_prompt(default: Release) -> None:
    assert not [name for name in default.environment("steersman-router") if "CAPTURE" in name]


def test_the_secret_of_keys_is_a_folder_in_routers_and_in_nothing_else() -> None:
    release = render({"tenants": TENANTS, "router": {"capture": {"keysSecret": "seals", "ttlSeconds": 3600}}})
    for name, pod in release.pods():
        mounted = [each for each in pod.get("volumes", []) if "seals" in str(each)]
        assert len(mounted) == (name == "steersman-router")
    environment = {
        name.removeprefix("STEERSMAN_CAPTURE__").lower(): value
        for name, value in release.environment("steersman-router").items()
        if "CAPTURE__" in name
    }
    read = PromptCapture.model_validate(environment)
    assert str(read.key_file) == "/etc/steersman-capture/capture-keys.yaml"
    assert (read.ttl_seconds, read.entries, read.max_bytes) == (3600, 10_000, 16_777_216)
    mounts = release.container("steersman-router")["volumeMounts"]
    assert {"name": "capture-keys", "mountPath": "/etc/steersman-capture", "readOnly": True} in mounts


def test_a_tenants_rates_are_as_the_router_reads_them() -> None:
    release = render({"tenants": TENANTS, "router": {"capture": {"keysSecret": "seals"}}})
    text = release.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"]
    assert catalogue.parse(text.encode(), environment={}).rights("search").captured == {"auto": 0.05}


def test_rates_without_keys_are_refused() -> None:
    with refused("prompts are kept sealed or not at all"):
        render(nested("tenants", TENANTS))


def test_a_rate_above_one_is_refused() -> None:
    with refused("capture"):
        render(nested("tenants", {"search": {"capture": {"auto": 5}}}))


def test_a_rate_of_a_policy_that_there_is_not_is_refused_where_none_can_come_later() -> None:
    values = {
        "tenants": {"search": {"capture": {"other": 0.1}}, "default": {}},
        "router": {"capture": {"keysSecret": "seals"}, "policies": {"fromResources": False}},
    }
    with refused("there is no policy other"):
        render(values)
