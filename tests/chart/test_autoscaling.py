"""Autoscaling: at most one autoscaler a workload, which alone then says how many pods there are."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from chart.rendering import Release, nested, refused, render
from steersman.scaler.metrics import ScalerMetrics
from steersman.scaler.model import Audience, Part, Sums

_SCALED = {
    "router": "router",
    "classifier": "classifier",
    "tiers.weak": "backend-weak",
    "tiers.strong": "backend-strong",
}
_KEDA = {"enabled": True}


def _with_keda(where: str, **scaling: object) -> Any:
    return nested(f"{where}.autoscaling", {"keda": _KEDA, **scaling})


def test_without_an_autoscaler_a_workload_has_its_replicas(default: Release) -> None:
    replicas = {each["metadata"]["name"]: each["spec"]["replicas"] for each in default.of("Deployment")}

    assert replicas == {
        "steersman-router": 2,
        "steersman-controller": 2,
        "steersman-classifier": 1,
        "steersman-redis": 1,
        "steersman-backend-weak": 1,
        "steersman-backend-strong": 1,
    }
    assert default.of("HorizontalPodAutoscaler", "ScaledObject") == []


@pytest.mark.parametrize("kind", ["hpa", "keda"])
@pytest.mark.parametrize("where", _SCALED)
def test_replicas_are_left_out_under_either_autoscaler(where: str, kind: str) -> None:
    release = render(nested(f"{where}.autoscaling.{kind}.enabled", value=True))
    name = f"steersman-{_SCALED[where]}"
    others = [each for each in release.of("Deployment") if each["metadata"]["name"] != name]

    assert "replicas" not in release.one("Deployment", name)["spec"]
    assert all("replicas" in each["spec"] for each in others)
    assert release.names({"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[kind]) == {name}


def test_an_autoscaler_points_at_its_deployment_with_its_bounds(releases: dict[str, Release]) -> None:
    for hpa in releases["hpa"].of("HorizontalPodAutoscaler"):
        spec = hpa["spec"]
        assert spec["scaleTargetRef"]["name"] == hpa["metadata"]["name"]
        assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    router = releases["hpa"].one("HorizontalPodAutoscaler", "steersman-router")["spec"]
    assert (router["minReplicas"], router["maxReplicas"]) == (2, 4)
    assert router["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


@pytest.mark.parametrize(
    ("name", "part", "target"),
    [
        ("classifier", "classifier", "32"),
        ("backend-weak", "tier/weak", "12.5"),
        ("backend-strong", "tier/strong", "12.5"),
    ],
)
def test_without_keda_an_hpa_asks_the_metrics_api_for_the_series_of_the_scaler(
    releases: dict[str, Release], name: str, part: str, target: str
) -> None:
    spec = releases["hpa"].one("HorizontalPodAutoscaler", f"steersman-{name}")["spec"]
    registry = CollectorRegistry()
    ScalerMetrics(registry).show({Part(part): Sums(waiting=3)}, Audience())
    asked = spec["metrics"][0]["external"]

    labels = {**asked["metric"]["selector"]["matchLabels"], "state": "waiting"}
    assert asked["metric"]["name"] == "steersman_demand"  # as docs/scaling.md has the adapter call it
    assert registry.get_sample_value("steersman_scaler_demand", labels) == 3
    assert asked["target"] == {"type": "AverageValue", "averageValue": target}


def test_the_scaler_runs_for_prometheus_too_and_keda_may_not_ask_it_then(
    releases: dict[str, Release],
) -> None:
    release = releases["hpa"]
    (rule,) = release.one("NetworkPolicy", "steersman-scaler")["spec"]["ingress"]

    assert release.one("Deployment", "steersman-scaler")
    assert [port["port"] for port in rule["ports"]] == [9090]
    assert "steersman-scaler" not in render(nested("router.autoscaling.hpa.enabled", value=True)).names(
        "Deployment"
    )


def test_metrics_of_an_hpa_replace_the_cpu() -> None:
    metric = {
        "type": "External",
        "external": {
            "metric": {"name": "steersman_demand"},
            "target": {"type": "AverageValue", "averageValue": "8"},
        },
    }
    release = render(nested("tiers.strong.autoscaling.hpa", {"enabled": True, "metrics": [metric]}))

    assert release.one("HorizontalPodAutoscaler", "steersman-backend-strong")["spec"]["metrics"] == [metric]


@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("router", "router"),
        ("classifier", "classifier"),
        ("tiers.weak", "tier/weak"),
        ("tiers.strong", "tier/strong"),
    ],
)
def test_keda_asks_the_scaler_for_the_demand_of_the_workload(where: str, part: str) -> None:
    name = f"steersman-{_SCALED[where]}"
    spec = render(_with_keda(where)).one("ScaledObject", name)["spec"]
    (trigger,) = spec["triggers"]

    assert spec["scaleTargetRef"] == {"name": name}
    assert trigger["type"] == "external-push"
    assert trigger["metricType"] == "AverageValue"
    assert trigger["metadata"]["scalerAddress"] == "steersman-scaler.models.svc:9000"
    assert trigger["metadata"]["part"] == part
    assert float(trigger["metadata"]["targetPerReplica"]) > 0


def test_keda_falls_back_to_a_number_of_pods_and_waits_before_the_last_one_goes(gpu: Release) -> None:
    strong = gpu.one("ScaledObject", "steersman-backend-strong")["spec"]

    assert strong["minReplicaCount"] == 0
    assert strong["cooldownPeriod"] == 900
    assert strong["fallback"] == {
        "failureThreshold": 3,
        "replicas": 1,
        "behavior": "currentReplicasIfHigher",  # what stands is kept
    }
    assert strong["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]


def test_the_scaler_is_there_as_soon_as_one_workload_needs_it(default: Release) -> None:
    release = render(_with_keda("tiers.strong"))

    assert "steersman-scaler" not in default.names("Deployment")
    assert release.one("Deployment", "steersman-scaler")["spec"]["replicas"] == 2
    target = release.environment("steersman-scaler")["STEERSMAN_ROUTERS__TARGET"]
    assert target == "k8s:///steersman-router-headless:9000"
    assert release.one("Service", "steersman-router-headless")["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize("where", _SCALED)
def test_both_autoscalers_on_one_workload_are_refused(where: str) -> None:
    with refused(f"{where}.autoscaling: hpa and keda are both enabled. Each would set the number of pods"):
        render(nested(f"{where}.autoscaling", {"hpa": {"enabled": True}, "keda": _KEDA}))


@pytest.mark.parametrize("where", _SCALED)
def test_a_minimum_above_the_maximum_is_refused(where: str) -> None:
    with refused(f"{where}.autoscaling: minReplicas (5) is above maxReplicas (4)"):
        render(nested(f"{where}.autoscaling", {"minReplicas": 5, "maxReplicas": 4}))


def test_the_cheapest_tier_never_sleeps() -> None:
    with refused("tiers.weak needs at least one pod: it is the cheapest tier of policy auto"):
        render(_with_keda("tiers.weak", minReplicas=0))
    with refused("tiers.weak needs at least one pod"):
        render(nested("tiers.weak.replicas", 0))


def test_another_tier_may_sleep() -> None:
    assert render(_with_keda("tiers.strong", minReplicas=0)).of("ScaledObject")
    assert render(nested("tiers.strong.replicas", 0)).one("Deployment", "steersman-backend-strong")


@pytest.mark.parametrize("where", ["router", "classifier"])
def test_what_every_request_needs_never_sleeps(where: str) -> None:
    with refused(f"{where} needs at least one pod"):
        render(_with_keda(where, minReplicas=0))


def test_an_hpa_that_would_have_to_start_from_nothing_is_refused() -> None:
    with refused("tiers.strong.autoscaling: a HorizontalPodAutoscaler cannot start from no pod"):
        render(nested("tiers.strong.autoscaling", {"minReplicas": 0, "hpa": {"enabled": True}}))


@pytest.mark.parametrize("replicas", [1, 9])
def test_a_fallback_outside_the_bounds_is_refused(replicas: int) -> None:
    with refused(f"router.autoscaling: keda.fallback.replicas ({replicas}) is not between minReplicas (2)"):
        render(_with_keda("router", keda={**_KEDA, "fallback": {"replicas": replicas}}))
