"""What every pod has: restricted security, probes, a drain that fits, and a place that it prefers."""

from __future__ import annotations

from typing import Any

import pytest

from chart.rendering import Release, nested, render

_OWN = ("router", "backend-weak", "backend-strong", "scaler", "controller")


def _containers(pod: Any) -> list[Any]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_every_pod_meets_pod_securitys_restricted_profile(release: Release) -> None:
    for _, pod in release.pods():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        allowed = {
            "configMap",
            "emptyDir",
            "secret",
            "projected",
            "persistentVolumeClaim",
            "csi",
            "ephemeral",
        }
        assert all(set(volume) - {"name"} <= allowed for volume in pod.get("volumes", []))
        for container in _containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert all("hostPort" not in port for port in container.get("ports", []))


def test_tokens_of_the_api_server_go_only_to_who_speaks_to_it(everything: Release, default: Release) -> None:
    speaking = {"steersman-controller", "steersman-router"}
    for release, who in ((everything, speaking | {"steersman-scaler"}), (default, speaking)):
        with_token = {name for name, pod in release.pods() if pod["automountServiceAccountToken"]}
        assert with_token == who
    assert all(
        account["automountServiceAccountToken"] is False for account in everything.of("ServiceAccount")
    )


def test_every_deployment_has_an_account_of_its_own(release: Release) -> None:
    for name, pod in release.pods():
        if pod.get("restartPolicy") != "Never":
            assert pod["serviceAccountName"] == name
            assert name in release.names("ServiceAccount")


def test_every_container_says_what_it_needs(release: Release) -> None:
    for _, pod in release.pods():
        for container in _containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]


def test_every_container_of_a_deployment_is_probed(release: Release) -> None:
    for manifest in release.of("Deployment"):
        pod = manifest["spec"]["template"]["spec"]
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        for sidecar in pod.get("initContainers", []):
            assert {"startupProbe", "livenessProbe"} <= sidecar.keys()


@pytest.mark.parametrize("name", _OWN)
def test_our_own_processes_are_probed_by_grpc_at_a_port_that_callers_do_not_use(
    everything: Release, name: str
) -> None:
    container = everything.container(f"steersman-{name}")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert len(set(ports.values())) == len(ports)
    told = everything.environment(f"steersman-{name}")["STEERSMAN_HEALTH__ADDRESS"]
    assert told == f"0.0.0.0:{ports['health']}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == ports["health"]
        assert "httpGet" not in container[probe]


@pytest.mark.parametrize("name", _OWN)
@pytest.mark.parametrize(("family", "host"), [("IPv4", "0.0.0.0"), ("IPv6", "[::]")])  # noqa: S104 - what a pod has
def test_our_own_processes_listen_at_the_ports_of_their_pod_in_the_family_that_values_say(
    name: str, family: str, host: str
) -> None:
    release = render({"ipFamily": family, "tierDefaults": {"autoscaling": {"keda": {"enabled": True}}}})
    environment = release.environment(f"steersman-{name}")
    listening = {
        key.removeprefix("STEERSMAN_"): value
        for key, value in environment.items()
        if key.endswith("__ADDRESS")
    }
    ports = release.container(f"steersman-{name}")["ports"]
    assert listening == {
        f"{port['name'].upper()}__ADDRESS": f"{host}:{port['containerPort']}" for port in ports
    }


def test_triton_and_engines_listen_in_that_family_too(default: Release) -> None:
    release = render({"ipFamily": "IPv6"})
    more = set(release.container("steersman-classifier")["args"]) - set(
        default.container("steersman-classifier")["args"]
    )
    assert more == {"--grpc-address=[::]", "--http-address=ipv6:::", "--metrics-address=ipv6:::"}
    assert release.environment("steersman-backend-weak", "engine")["ENGINE_HOST"] == "::"


def test_no_service_leads_to_the_port_for_health(everything: Release) -> None:
    ports = {port["targetPort"] for each in everything.of("Service") for port in each["spec"]["ports"]}
    assert not {"health", 9091} & ports


def test_triton_is_probed_by_grpc(everything: Release) -> None:
    container = everything.container("steersman-classifier")
    assert container["startupProbe"]["grpc"]["port"] == 8001
    assert container["readinessProbe"]["grpc"]["port"] == 8001


def test_readiness_follows_what_a_restart_would_not_bring_back(everything: Release) -> None:
    asked = {"backend-weak": "engine", "scaler": "routers", "controller": "lease"}

    for name, service in asked.items():
        container = everything.container(f"steersman-{name}")
        assert container["readinessProbe"]["grpc"]["service"] == service
        assert "service" not in container["livenessProbe"]["grpc"]
        assert "service" not in container["startupProbe"]["grpc"]


def test_the_grace_period_holds_the_time_to_be_forgotten_and_the_time_to_drain(release: Release) -> None:
    for manifest in release.of("Deployment"):
        name = manifest["metadata"]["name"]
        container = release.container(name)
        held = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        told = release.environment(name).get("STEERSMAN_GRPC__DRAIN_SECONDS")
        if told is not None:
            assert release.pod(name)["terminationGracePeriodSeconds"] == held + int(told) + 10


def test_the_drain_of_one_workload_can_be_set() -> None:
    release = render(nested("tiers.strong.drain", {"preStopSeconds": 20, "seconds": 900}))

    assert release.pod("steersman-backend-strong")["terminationGracePeriodSeconds"] == 930
    assert release.environment("steersman-backend-strong")["STEERSMAN_GRPC__DRAIN_SECONDS"] == "900"
    assert release.pod("steersman-backend-weak")["terminationGracePeriodSeconds"] == 320


def test_no_pre_stop_hook_sleeps_for_no_time(default: Release) -> None:
    assert "lifecycle" not in default.container("steersman-redis")


def test_tritons_own_patience_is_that_of_its_pod(default: Release) -> None:
    assert "--exit-timeout-secs=15" in default.container("steersman-classifier")["args"]
    assert default.pod("steersman-classifier")["terminationGracePeriodSeconds"] == 10 + 15 + 10


def test_pods_prefer_to_be_apart_and_never_insist_on_it(release: Release) -> None:
    for manifest in release.of("Deployment"):
        pod = manifest["spec"]["template"]["spec"]
        selector = manifest["spec"]["selector"]["matchLabels"]
        affinity = pod["affinity"]["podAntiAffinity"]
        assert "requiredDuringSchedulingIgnoredDuringExecution" not in affinity
        (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == selector
        spread = pod["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spread] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}


def test_evictions_take_one_pod_at_a_time(release: Release) -> None:
    budgets = {
        each["metadata"]["name"]: each["spec"]["maxUnavailable"] for each in release.of("PodDisruptionBudget")
    }

    assert budgets == dict.fromkeys(release.names("Deployment"), 1)


@pytest.mark.parametrize(
    "component", ["router", "classifier", "redis", "scaler", "controller", "tierDefaults", "tiers.weak"]
)
def test_each_workload_can_be_placed_and_extended_on_its_own(component: str) -> None:
    options = {
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "priorityClassName": "high",
        "strategy": {"type": "Recreate"},
        "extraEnv": [{"name": "X", "value": "y"}],
        "extraVolumes": [{"name": "v", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
        "serviceAccount": {"annotations": {"role": "r"}},
    }
    name = {"tierDefaults": "backend-weak", "tiers.weak": "backend-weak"}.get(component, component)
    scaled = nested("router.autoscaling.keda.enabled", value=True) if component == "scaler" else {}
    release = render({**scaled, **nested(component, options)})
    deployment = release.one("Deployment", f"steersman-{name}")
    pod = deployment["spec"]["template"]["spec"]

    assert deployment["spec"]["template"]["metadata"]["labels"]["a"] == "b"
    assert deployment["spec"]["template"]["metadata"]["annotations"]["c"] == "d"
    assert deployment["spec"]["strategy"] == options["strategy"]
    for same in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"):
        assert pod[same] == options[same]
    assert release.environment(f"steersman-{name}")["X"] == "y"
    assert {"name": "v", "emptyDir": {}} in pod["volumes"]
    assert {"name": "v", "mountPath": "/v"} in pod["containers"][0]["volumeMounts"]
    assert release.one("ServiceAccount", f"steersman-{name}")["metadata"]["annotations"] == {"role": "r"}


def test_an_account_of_ones_own_is_used_and_not_made() -> None:
    release = render(nested("router.serviceAccount.name", "mine"))

    assert release.pod("steersman-router")["serviceAccountName"] == "mine"
    assert "steersman-router" not in release.names("ServiceAccount")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "ghcr.io/steersman/steersman-router:0.1.0"),
        ({"tag": "0.2.0"}, "ghcr.io/steersman/steersman-router:0.2.0"),
        (
            {"tag": "0.2.0", "digest": f"sha256:{'0' * 64}"},
            f"ghcr.io/steersman/steersman-router@sha256:{'0' * 64}",
        ),
        ({"repository": "registry.example.com/router"}, "registry.example.com/router:0.1.0"),
        ({"repository": "team/router"}, "ghcr.io/steersman/team/router:0.1.0"),
    ],
)
def test_an_image_is_named_by_registry_repository_tag_or_digest(image: dict[str, str], expected: str) -> None:
    release = render(nested("router.image", image))

    assert release.container("steersman-router")["image"] == expected
    assert release.one("Pod", "steersman-test")["spec"]["containers"][0]["image"] == expected


def test_settings_become_the_environment_of_the_process_and_have_the_last_word() -> None:
    release = render(
        {"router": {"settings": {"CLASSIFIER__TIMEOUT_SECONDS": 0.25, "CACHE__LOCAL_ENTRIES": 2000000}}}
    )
    environment = release.environment("steersman-router")

    assert environment["STEERSMAN_CLASSIFIER__TIMEOUT_SECONDS"] == "0.25"
    assert environment["STEERSMAN_CACHE__LOCAL_ENTRIES"] == "2000000"


def test_no_variable_is_set_twice(release: Release) -> None:
    for _, pod in release.pods():
        for container in _containers(pod):
            names = [each["name"] for each in container.get("env", [])]
            assert len(names) == len(set(names))
