"""What is off until one value turns it on: ways in, monitoring, tracing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from chart.rendering import CHART, Release, render
from steersman.router.catalogue import QUOTA_KINDS
from steersman.runtime import errors

_SERVICES: Final = CHART.parents[2] / "services"
_NOT_OF_REQUESTS: Final = {errors.Code.UNAUTHENTICATED, errors.Code.PERMISSION_DENIED, errors.Code.NOT_FOUND}
"""What callers are told before a request counts; how one ends only where a backend refuses the router."""


def _is_error(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, errors.Error)


def _of_callers(error: type[errors.Error]) -> bool:
    """Whether who asks for too much or for nonsense ends a request with it; Overloaded is also for who asks rightly."""
    shown_to_callers = 400 <= errors.HTTP_STATUS[error.code] < 500
    return shown_to_callers and error.code not in {*_NOT_OF_REQUESTS, errors.Code.RESOURCE_EXHAUSTED}


def _reasons_of(names: set[str]) -> Iterator[str]:
    """The reasons that the code gives to errors of these classes, apart from those that it passes on."""
    for path in _SERVICES.rglob("steersman/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in names:
                continue
            for reason in (each.value for each in node.keywords if each.arg == "reason"):
                assert isinstance(reason, ast.Constant) or ast.unparse(reason) == "reason", path
                if isinstance(reason, ast.Constant):
                    yield str(reason.value)


def test_a_first_install_has_none_of_them(default: Release) -> None:
    off = {
        "Ingress",
        "HTTPRoute",
        "GRPCRoute",
        "ServiceMonitor",
        "PodMonitor",
        "PrometheusRule",
    }

    assert default.of(*off) == []
    assert "steersman-dashboard" not in default.names("ConfigMap")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in default.environment("steersman-router")


@pytest.mark.parametrize(
    ("switch", "more", "brings"),
    [
        ("ingress", {}, {("Ingress", "router")}),
        ("httpRoute", {"parentRefs": [{"name": "gateway"}]}, {("HTTPRoute", "router")}),
        ("grpcRoute", {"parentRefs": [{"name": "gateway"}]}, {("GRPCRoute", "router")}),
        ("serviceMonitor", {}, {("ServiceMonitor", ""), ("PodMonitor", "engines-metrics")}),
        ("prometheusRule", {}, {("PrometheusRule", "")}),
        ("dashboard", {}, {("ConfigMap", "dashboard")}),
    ],
)
def test_one_value_brings_each_of_them_and_nothing_else(
    default: Release, switch: str, more: dict[str, Any], brings: set[tuple[str, str]]
) -> None:
    release = render({switch: {"enabled": True, **more}})

    new = _names(release) - _names(default)
    assert new == {(kind, f"steersman-{name}".removesuffix("-")) for kind, name in brings}
    assert _names(default) <= _names(release)


def _names(release: Release) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in release.manifests}


def test_ways_in_lead_to_the_port_that_speaks_their_protocol(everything: Release) -> None:
    (path,) = everything.one("Ingress", "steersman-router")["spec"]["rules"][0]["http"]["paths"]
    (http,) = everything.one("HTTPRoute", "steersman-router")["spec"]["rules"]
    (grpc,) = everything.one("GRPCRoute", "steersman-router")["spec"]["rules"]

    assert path["backend"]["service"] == {"name": "steersman-router", "port": {"name": "http"}}
    assert http["backendRefs"] == [{"name": "steersman-router", "port": 8080}]
    assert grpc["backendRefs"] == [{"name": "steersman-router", "port": 9000}]
    assert grpc["matches"] == [{"method": {"service": "steersman.api.v1.RouterService"}}]


def test_ways_in_do_not_lead_to_health_and_other_paths(everything: Release) -> None:
    (path,) = everything.one("Ingress", "steersman-router")["spec"]["rules"][0]["http"]["paths"]
    (http,) = everything.one("HTTPRoute", "steersman-router")["spec"]["rules"]

    assert path["path"] == "/v1/"
    assert http["matches"] == [{"path": {"type": "PathPrefix", "value": "/v1/"}}]


def test_prometheus_finds_every_process_and_the_engines(everything: Release) -> None:
    monitor = everything.one("ServiceMonitor", "steersman")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = {
        each["metadata"]["name"]
        for each in everything.of("Service")
        if wanted <= each["metadata"]["labels"].items()
    }

    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert found == {
        "steersman-router-headless",
        "steersman-backend-weak",
        "steersman-backend-strong",
        "steersman-classifier",
        "steersman-scaler",
        "steersman-controller",
    }
    (engines,) = everything.of("PodMonitor")
    assert engines["spec"]["selector"]["matchExpressions"][0]["values"] == ["weak"]


def test_alerts_look_at_this_namespace_and_at_metrics_that_exist(everything: Release) -> None:
    (group,) = everything.one("PrometheusRule", "steersman")["spec"]["groups"]

    assert len(group["rules"]) >= 8
    for rule in group["rules"]:
        assert 'namespace="models"' in rule["expr"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]


def test_alerts_and_dashboard_name_only_metrics_of_the_code() -> None:
    code = "\n".join(path.read_text() for path in _SERVICES.rglob("*metrics.py"))
    known = set(re.findall(r'"(steersman_\w+)"', code))
    known |= {f"steersman_backend_{name}" for name in re.findall(r'_gauge\("(\w+)"', code)}
    shown = (CHART / "files" / "alerts.yaml").read_text() + (CHART / "files" / "dashboard.json").read_text()
    used = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"\bsteersman_\w+", shown)}

    assert used - known == set()


def test_what_callers_cause_is_no_failure_to_the_critical_alert(everything: Release) -> None:
    (group,) = everything.one("PrometheusRule", "steersman")["spec"]["groups"]
    (failing,) = (rule for rule in group["rules"] if rule["alert"] == "SteersmanRequestsFail")
    (left_out,) = re.findall(r'outcome!~"([^"]+)"', failing["expr"])
    classes = {name: each for name, each in vars(errors).items() if _is_error(each) and _of_callers(each)}

    assert set(left_out.split("|")) == {
        *("OK", "CANCELLED"),
        *(each.default_reason for each in classes.values()),
        *_reasons_of(set(classes)),
        *(quota.upper() for quota in QUOTA_KINDS),
    }


def test_the_dashboard_is_one_that_grafana_finds(everything: Release) -> None:
    config = everything.one("ConfigMap", "steersman-dashboard")

    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["steersman.json"])["title"] == "Steersman"


def test_one_endpoint_traces_every_process(everything: Release) -> None:
    for name in ("router", "backend-weak", "scaler", "controller"):
        environment = everything.environment(f"steersman-{name}")
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector.observability:4318"
        assert "k8s.pod.name=$(STEERSMAN_POD)" in environment["OTEL_RESOURCE_ATTRIBUTES"]
    triton = everything.container("steersman-classifier")["args"]
    assert "--trace-config=opentelemetry,url=http://otel-collector.observability:4318/v1/traces" in triton


def test_triton_sends_no_spans_in_a_protocol_that_it_lacks() -> None:
    release = render({"otel": {"endpoint": "http://collector:4317", "protocol": "grpc"}})

    assert not any("trace" in argument for argument in release.container("steersman-classifier")["args"])


def test_helm_test_asks_both_apis_through_the_services(default: Release) -> None:
    pod = default.one("Pod", "steersman-test")
    (container,) = pod["spec"]["containers"]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert container["args"][1:] == [
        "dns:///steersman-router-headless:9000",
        "steersman-router:8080",
        "auto",
        "120",
    ]
    compile(container["args"][0], "query.py", "exec")


def test_the_chart_and_its_application_have_the_version_of_the_code() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    code = (_SERVICES / "steersman" / "__init__.py").read_text()

    assert f'__version__ = "{chart["version"]}"' in code
    assert chart["appVersion"] == chart["version"]
    example = yaml.safe_load((CHART / "values-gpu.yaml").read_text())
    assert example["classifier"]["image"]["tag"] == f"{chart['appVersion']}-gpu"
