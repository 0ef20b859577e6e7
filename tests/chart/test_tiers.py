"""Tiers: one template, a map of values, three kinds of engines, and the policy file that the router gets."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart.rendering import Release, nested, render
from steersman.router import catalogue
from steersman.router.model import Catalogue, Fallback, OutOfDomain

_KEYS = {"STEERSMAN_KEY_OF_STRONGEST": "secret"}


def _policies(release: Release) -> Catalogue:
    text = release.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"]
    return catalogue.parse(text.encode(), environment=_KEYS)


def test_the_router_takes_the_policy_file_of_every_variant(release: Release) -> None:
    policies = _policies(release)

    assert policies.default_policy in policies.policies
    for name, tier in policies.tiers.items():
        if tier.upstream.kind == "backend":
            assert tier.upstream.target == f"k8s:///steersman-backend-{name}:9000"
            assert release.one("Service", f"steersman-backend-{name}")["spec"]["clusterIP"] == "None"


def test_prices_capabilities_and_boundaries_arrive_as_they_are_written(gpu: Release) -> None:
    policies = _policies(gpu)

    assert policies.tiers["strongest"].capabilities.context_window == 400_000
    assert policies.tiers["strongest"].price.output_usd == 10
    assert policies.policies["auto"].tiers == ("weak", "strong", "strongest")
    assert policies.policies["auto"].boundaries == (0.6, 0.95)


def test_policies_are_mounted_as_a_directory_so_that_their_changes_arrive(default: Release) -> None:
    (mount,) = (
        each for each in default.container("steersman-router")["volumeMounts"] if each["name"] == "policies"
    )

    assert mount["mountPath"] == "/etc/steersman"
    assert "subPath" not in mount


def test_a_change_of_policies_alone_restarts_nothing(default: Release) -> None:
    changed = render(nested("policies.auto.threshold", 0.5))

    assert changed.of("Deployment") == default.of("Deployment")
    assert changed.of("ConfigMap") != default.of("ConfigMap")


def test_an_engine_in_the_pod_is_a_sidecar_which_starts_first_and_ends_last(default: Release) -> None:
    (engine,) = default.pod("steersman-backend-weak")["initContainers"]

    assert engine["name"] == "engine"
    assert engine["restartPolicy"] == "Always"
    assert default.environment("steersman-backend-weak")["STEERSMAN_ENGINE__URL"] == "http://127.0.0.1:8000"


def test_an_engine_outside_has_a_backend_and_no_container(everything: Release) -> None:
    environment = everything.environment("steersman-backend-strong")

    assert "initContainers" not in everything.pod("steersman-backend-strong")
    assert environment["STEERSMAN_ENGINE__URL"] == "http://vllm.models:8001/v1"
    assert environment["STEERSMAN_ENGINE__API_KEY"] == {"secretKeyRef": {"name": "vllm", "key": "api-key"}}


def test_a_hosted_model_has_no_backend_and_its_key_goes_to_the_router(gpu: Release) -> None:
    key = gpu.environment("steersman-router")["STEERSMAN_KEY_OF_STRONGEST"]

    assert "steersman-backend-strongest" not in gpu.names("Deployment")
    assert key == {"secretKeyRef": {"name": "strongest-api-key", "key": "api-key"}}
    assert _policies(gpu).tiers["strongest"].upstream.kind == "openai"


def test_start_up_probes_outlive_a_download(gpu: Release) -> None:
    probe = gpu.container("steersman-backend-strong", "engine")["startupProbe"]
    deadline = gpu.one("Deployment", "steersman-backend-strong")["spec"]["progressDeadlineSeconds"]

    assert probe["periodSeconds"] * probe["failureThreshold"] >= 3600
    assert deadline > 3600


def test_pods_with_a_gpu_are_replaced_without_a_spare_one(gpu: Release) -> None:
    def rolling(name: str) -> Any:
        return gpu.one("Deployment", f"steersman-{name}")["spec"]["strategy"]["rollingUpdate"]

    for name in ("backend-weak", "backend-strong", "classifier"):
        assert rolling(name) == {"maxSurge": 0, "maxUnavailable": 1}
    assert rolling("router") == {"maxSurge": 1, "maxUnavailable": 0}


def test_gpus_are_asked_for_by_engines_and_the_classifier_on_nodes_that_have_them(gpu: Release) -> None:
    engines = {tier: gpu.container(f"steersman-backend-{tier}", "engine") for tier in ("weak", "strong")}

    assert engines["weak"]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert engines["strong"]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert gpu.container("steersman-classifier")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert gpu.container("steersman-classifier")["image"].endswith(":0.1.0-gpu")
    for name in ("backend-weak", "backend-strong", "classifier"):
        assert gpu.pod(f"steersman-{name}")["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert gpu.pod(f"steersman-{name}")["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "nodeSelector" not in gpu.pod("steersman-router")


def test_triton_has_shared_memory_for_its_python_backend(default: Release, gpu: Release) -> None:
    for release, size in ((default, "256Mi"), (gpu, "1Gi")):
        volumes = {each["name"]: each for each in release.pod("steersman-classifier")["volumes"]}
        assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": size}
        mounts = release.container("steersman-classifier")["volumeMounts"]
        assert {"name": "shm", "mountPath": "/dev/shm"} in mounts  # noqa: S108 - Triton's, not a file of ours


def test_an_engine_gets_a_cache_and_shared_memory_where_it_wants_them(gpu: Release, default: Release) -> None:
    volumes = {each["name"]: each for each in gpu.pod("steersman-backend-weak")["volumes"]}

    assert volumes["engine-shm"]["emptyDir"]["medium"] == "Memory"
    assert volumes["engine-cache"]["emptyDir"]["sizeLimit"] == "100Gi"
    assert {each["name"] for each in default.pod("steersman-backend-weak")["volumes"]} == {
        "tmp",
        "engine-tmp",
    }


@pytest.mark.parametrize("removed", [None, {"enabled": False}])
def test_a_tier_can_be_removed(removed: object) -> None:
    values = {"tiers": {"strong": removed}, "policies": {"auto": {"tiers": ["weak"], "threshold": None}}}
    release = render(values)

    assert set(_policies(release).tiers) == {"weak"}
    assert not any("strong" in manifest["metadata"]["name"] for manifest in release.manifests)


def test_a_third_tier_is_one_more_entry() -> None:
    release = render(
        {
            "tiers": {"middle": {"model": "m"}},
            "policies": {
                "auto": {"tiers": ["weak", "middle", "strong"], "threshold": None, "boundaries": [0.5, 0.9]}
            },
        }
    )

    assert "steersman-backend-middle" in release.names("Deployment")
    assert list(_policies(release).policies["auto"].tiers) == ["weak", "middle", "strong"]


def test_the_policy_file_is_readable_yaml_with_whole_numbers(gpu: Release) -> None:
    text = gpu.one("ConfigMap", "steersman-policies")["data"]["policies.yaml"]

    assert "context_window: 400000\n" in text
    assert yaml.safe_load(text)["tiers"]["strongest"]["upstream"]["url"] == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({}, OutOfDomain(0.999, Fallback.PROPORTIONAL)),
        ({"rule": "weak"}, OutOfDomain(0.999, Fallback.WEAK)),
        ({"novelty": 0.9}, OutOfDomain(0.9, Fallback.PROPORTIONAL)),
        ({"rule": "score"}, None),
    ],
)
def test_what_decides_for_queries_out_of_domain_is_the_policys_to_say(
    values: dict[str, Any], rule: OutOfDomain | None
) -> None:
    release = render({"policies": {"auto": {"outOfDomain": values}}})
    assert _policies(release).policies["auto"].out_of_domain == rule


@pytest.mark.parametrize("when_cold", ["other", "wait"])
def test_what_to_do_for_a_tier_without_pods_is_the_policys_to_say(when_cold: str) -> None:
    policy = _policies(render(nested("policies.auto.whenCold", when_cold))).policies["auto"]

    assert policy.when_cold.value == when_cold


def test_the_waiting_room_is_as_large_as_the_values_say() -> None:
    release = render(nested("router.waitingRoom", {"maxBytes": 1_000_000_000, "longestSeconds": 1.5}))
    variables = {
        each["name"]: each["value"]
        for each in release.container("steersman-router")["env"]
        if "value" in each
    }

    assert variables["STEERSMAN_WAITING_ROOM__MAX_BYTES"] == "1000000000"
    assert variables["STEERSMAN_WAITING_ROOM__LONGEST_SECONDS"] == "1.5"
    assert variables["STEERSMAN_WAITING_ROOM__MAX_REQUESTS"] == "256"
