"""Spans with TLS: how the collector is known, whose spans go by Envoy, and what is refused in the clear."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart.rendering import Release, refused, render

OURS = ("router", "backend-weak", "backend-strong", "scaler", "controller")
HTTPS = "https://otel-collector.observability:4318"
PLAIN = HTTPS.replace("https", "http")
FOLDER = "/etc/steersman-otel"
FILES = {
    "OTEL_EXPORTER_OTLP_CERTIFICATE": f"{FOLDER}/ca.crt",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": f"{FOLDER}/tls.crt",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": f"{FOLDER}/tls.key",
}
SCALED = {"autoscaling": {"keda": {"enabled": True}}}


def private(endpoint: str = HTTPS, *, plaintext_to: list[str] | None = None, **otel: Any) -> Release:
    return render(
        {
            "tls": {"enabled": True, "plaintextTo": plaintext_to or []},
            "otel": {"endpoint": endpoint, **otel},
            "tierDefaults": SCALED,
        }
    )


def secret(*, shown: bool = True) -> dict[str, Any]:
    return {"secretName": "collector", "clientCertificate": shown}


def files_of_envoy(release: Release) -> dict[str, Any]:
    data = release.one("ConfigMap", "steersman-classifier-envoy")["data"]
    return {name: yaml.safe_load(text) for name, text in data.items()}


def part(release: Release, kind: str) -> Any:
    """Listener or cluster of the spans."""
    (found,) = (
        each
        for each in files_of_envoy(release)["envoy.yaml"]["static_resources"][kind]
        if each["name"] == "traces"
    )
    return found


def upstream(release: Release) -> Any:
    return part(release, "clusters")["transport_socket"]["typed_config"]


def traces_url(release: Release) -> str:
    (url,) = (
        str(argument).partition("url=")[2]
        for argument in release.container("steersman-classifier")["args"]
        if "url=" in argument
    )
    return url


@pytest.mark.parametrize("name", OURS)
def test_by_default_the_collector_is_of_the_releases_authority(name: str) -> None:
    environment = private().environment(f"steersman-{name}")
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == HTTPS
    assert environment["STEERSMAN_TLS__FOLDER"] == "/etc/steersman-tls"
    assert not FILES.keys() & environment.keys()


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shown", [True, False])
def test_a_secret_is_for_a_collector_of_another_authority(name: str, *, shown: bool) -> None:
    release = private(tls=secret(shown=shown))
    environment = release.environment(f"steersman-{name}")
    named = {key: environment[key] for key in FILES if key in environment}
    assert named == (
        FILES if shown else {"OTEL_EXPORTER_OTLP_CERTIFICATE": FILES["OTEL_EXPORTER_OTLP_CERTIFICATE"]}
    )
    (volume,) = (each for each in release.pod(f"steersman-{name}")["volumes"] if each["name"] == "otel-tls")
    assert volume["secret"]["secretName"] == "collector"
    mounts = release.container(f"steersman-{name}")["volumeMounts"]
    assert {"name": "otel-tls", "mountPath": FOLDER, "readOnly": True} in mounts


def test_it_is_for_a_release_without_tls_too_and_for_none_without_a_collector() -> None:
    plain = render({"otel": {"endpoint": HTTPS, "tls": secret()}})
    assert FILES.items() <= plain.environment("steersman-router").items()
    for release in (plain, render({"otel": {"tls": secret()}})):
        for name in ("redis", "classifier"):
            assert "collector" not in str(release.pod(f"steersman-{name}")["volumes"])
    assert "otel-tls" not in str([pod for _, pod in render({"otel": {"tls": secret()}}).pods()])


def test_tritons_spans_go_by_envoy_to_the_loopback_alone() -> None:
    release = private()
    listener = part(release, "listeners")
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": "8013"}
    assert traces_url(release) == "http://127.0.0.1:8013/v1/traces"
    assert 8013 not in {port["containerPort"] for port in release.container("steersman-classifier")["ports"]}


def test_envoy_sends_them_on_to_the_collector_that_it_checks() -> None:
    release = private()
    cluster, tls = part(release, "clusters"), upstream(release)
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {
        "address": "otel-collector.observability",
        "port_value": "4318",
    }
    assert tls["sni"] == "otel-collector.observability"
    common = tls["common_tls_context"]
    validated = common["combined_validation_context"]["default_validation_context"]
    (who,) = validated["match_typed_subject_alt_names"]
    assert who == {"san_type": "DNS", "matcher": {"exact": "otel-collector.observability"}}
    assert common["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_2"
    files = files_of_envoy(release)
    for name in ("authorities", "certificate"):
        assert "/etc/steersman-tls/" in str(files[f"collector-{name}.yaml"])
    assert "${" not in str(files)


@pytest.mark.parametrize("shown", [True, False])
def test_envoy_knows_a_collector_of_another_authority_by_the_secret(*, shown: bool) -> None:
    release = private(tls=secret(shown=shown))
    files = files_of_envoy(release)
    assert FOLDER in str(files["collector-authorities.yaml"])
    assert ("collector-certificate.yaml" in files) is shown
    assert ("tls_certificate_sds_secret_configs" in upstream(release)["common_tls_context"]) is shown
    mounts = release.container("steersman-classifier", "envoy")["volumeMounts"]
    assert {"name": "otel-tls", "mountPath": FOLDER, "readOnly": True} in mounts
    assert "otel-tls" not in str(release.container("steersman-classifier")["volumeMounts"])


@pytest.mark.parametrize(
    ("endpoint", "path", "host", "port", "kind"),
    [
        ("https://collector.example.com", "/v1/traces", "collector.example.com", "443", "DNS"),
        ("https://Collector:8443/otlp/", "/otlp/v1/traces", "collector", "8443", "DNS"),
        ("https://10.0.0.7:4318", "/v1/traces", "10.0.0.7", "4318", "IP_ADDRESS"),
        ("https://[fd00::7]:4318", "/v1/traces", "fd00::7", "4318", "IP_ADDRESS"),
    ],
)
def test_the_collectors_url_says_path_host_port_and_name(
    endpoint: str, path: str, host: str, port: str, kind: str
) -> None:
    release = private(endpoint)
    assert traces_url(release) == f"http://127.0.0.1:8013{path}"
    (endpoint_,) = part(release, "clusters")["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address = endpoint_["endpoint"]["address"]["socket_address"]
    assert address == {"address": host, "port_value": port}
    assert upstream(release)["sni"] == (host if kind == "DNS" else "")
    context = upstream(release)["common_tls_context"]["combined_validation_context"]
    (who,) = context["default_validation_context"]["match_typed_subject_alt_names"]
    assert who == {"san_type": kind, "matcher": {"exact": host}}


@pytest.mark.parametrize(
    "release",
    [
        pytest.param(lambda: private(protocol="grpc"), id="grpc"),
        pytest.param(lambda: private(PLAIN, plaintext_to=["otel-collector.observability"]), id="plain"),
        pytest.param(lambda: render({"otel": {"endpoint": HTTPS}}), id="without-tls"),
    ],
)
def test_they_do_not_where_there_is_nothing_to_send_on_by_tls(release: Any) -> None:
    rendered = release()
    assert "8013" not in str([pod for _, pod in rendered.pods()])
    for each in rendered.of("ConfigMap"):
        assert "collector-" not in str(each.get("data", {}).keys())


def test_triton_goes_itself_to_a_collector_that_may_be_asked_in_the_clear() -> None:
    assert (
        traces_url(private(PLAIN, plaintext_to=["otel-collector.observability:4318"])) == f"{PLAIN}/v1/traces"
    )


def test_the_pod_of_triton_may_reach_the_collector() -> None:
    policy = private().one("NetworkPolicy", "steersman-classifier")["spec"]
    assert 4318 in {port["port"] for rule in policy["egress"] for port in rule["ports"]}


def test_a_collector_in_the_clear_is_refused_with_what_to_set() -> None:
    with refused("otel.endpoint: with tls.enabled, spans would go to otel-collector.observability:4318"):
        private(PLAIN)
    with refused("or name otel-collector.observability:4318 in tls.plaintextTo"):
        private(PLAIN, plaintext_to=["otel-collector.observability:4317", "otel-collector"])
    with refused("spans would go to collector:80 in the clear"):
        private("http://collector")


@pytest.mark.parametrize("kind", ["external", "hosted"])
def test_an_engine_in_the_clear_is_refused_with_what_to_set(kind: str) -> None:
    values = {
        "tls": {"enabled": True},
        "tiers": {"strong": {"engine": {"kind": kind, "url": "http://vllm.models:8001/v1"}}},
    }
    with refused("tiers.strong.engine.url: with tls.enabled, vllm.models:8001 would be asked in the clear"):
        render(values)
    allowed = render({**values, "tls": {"enabled": True, "plaintextTo": ["VLLM.models"]}})
    assert (
        "the engine of tier strong is outside and is asked in the clear (vllm.models:8001)" in allowed.notes
    )
    assert allowed.environment("steersman-router")["STEERSMAN_TLS__PLAINTEXT_TO"] == '["VLLM.models"]'


@pytest.mark.parametrize("url", ["http://localhost:4318", "http://127.0.0.1:4318", "http://[::1]:4318"])
def test_the_loopback_is_never_refused(url: str) -> None:
    assert traces_url(private(url)) == f"{url}/v1/traces"


def test_the_notes_tell_of_what_is_allowed_in_the_clear_and_of_nothing_else() -> None:
    assert "nothing in the clear" in private().notes
    notes = private(PLAIN, plaintext_to=["otel-collector.observability"]).notes
    assert "WARNING: spans go to otel-collector.observability:4318 in the clear" in notes
    assert "nothing in the clear" not in notes


@pytest.mark.parametrize("name", OURS)
def test_processes_are_told_whom_they_may_ask_in_the_clear(name: str) -> None:
    release = private(PLAIN, plaintext_to=["otel-collector.observability:4318"])
    allowed = release.environment(f"steersman-{name}")["STEERSMAN_TLS__PLAINTEXT_TO"]
    assert allowed == '["otel-collector.observability:4318"]'
    assert "STEERSMAN_TLS__PLAINTEXT_TO" not in private().environment(f"steersman-{name}")


def test_certificates_for_a_collector_that_could_not_use_them_are_refused() -> None:
    with refused(
        "otel.tls.secretName: certificates are for a collector whose otel.endpoint begins with https://"
    ):
        render({"otel": {"endpoint": PLAIN, "tls": secret()}})
    with refused("otel.tls.clientCertificate: otel.tls.secretName names the Secret"):
        private(tls={"clientCertificate": True})
