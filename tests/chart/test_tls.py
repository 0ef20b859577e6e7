"""TLS on every hop: certificates in every pod, flags, probes and clients that use them; nothing of it by default."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from chart.rendering import Release, nested, refused, render
from steersman.identity import certificates
from steersman.identity.shown import Peer

FOLDER = "/etc/steersman-tls"
MADE = {"steersman-cache", "steersman-keys", "steersman-first-key"}
"""Secrets that the chart makes in any case."""
SECRETS = {
    component: f"my-{component}"
    for component in ("router", "backend", "classifier", "redis", "scaler", "controller", "client")
}
OURS = ("router", "backend-weak", "backend-strong", "scaler", "controller")


@pytest.fixture
def private(releases: dict[str, Release]) -> Release:
    """With ci/tls-values.yaml."""
    return releases["tls"]


def decoded(release: Release, name: str) -> dict[str, bytes]:
    """What a Secret holds."""
    return {
        key: base64.b64decode(value)
        for key, value in release.one("Secret", f"steersman-{name}")["data"].items()
    }


def test_by_default_there_is_nothing_of_it(default: Release) -> None:
    assert default.names("Secret") == MADE
    for name, pod in default.pods():
        assert "tls" not in {volume["name"] for volume in pod.get("volumes", [])}, name
    assert not [each for each in default.environment("steersman-router") if "TLS" in each]
    assert default.environment("steersman-router")["STEERSMAN_CACHE__URL"].startswith("redis://")


def test_every_pod_has_its_own_certificate_and_can_read_it(private: Release) -> None:
    seen: set[str] = set()
    for name, pod in private.pods():
        (volume,) = (each for each in pod["volumes"] if each["name"] == "tls")
        secret = volume["secret"]["secretName"]
        assert secret == ("steersman-client-tls" if name == "steersman-test" else f"{name}-tls")
        speaks = (pod["initContainers"] if name == "steersman-classifier" else pod["containers"])[0]
        (mount,) = (each for each in speaks["volumeMounts"] if each["name"] == "tls")
        assert mount == {"name": "tls", "mountPath": FOLDER, "readOnly": True}
        seen.add(secret)
    assert seen | {"steersman-cache", "steersman-ca"} == private.names("Secret")


@pytest.mark.parametrize(
    ("holder", "name"),
    [
        ("router", "steersman-router"),
        ("router", "steersman-router.models.svc"),
        ("router", "steersman-router-headless"),
        ("router", "steersman-router-headless.models.svc.cluster.local"),
        ("router", "localhost"),
        ("redis", "localhost"),
        ("backend-weak", "steersman-backend-weak"),
        ("classifier", "steersman-classifier"),
        ("redis", "steersman-redis"),
        ("scaler", "steersman-scaler.models.svc"),
        ("controller", "steersman-metrics"),
    ],
)
def test_helms_certificates_are_by_its_authority_for_the_names_that_others_use(
    private: Release, holder: str, name: str
) -> None:
    files = decoded(private, f"{holder}-tls")
    certificate, authority = map(x509.load_pem_x509_certificate, (files["tls.crt"], files["ca.crt"]))
    verifier = PolicyBuilder().store(Store([authority])).build_server_verifier(x509.DNSName(name))
    assert verifier.verify(certificate, [])[0] == certificate
    assert authority.subject.rfc4514_string() == "CN=steersman-ca"


def test_the_key_of_the_authority_is_in_no_pod(private: Release) -> None:
    assert '"steersman-ca"' not in json.dumps([pod for _, pod in private.pods()])


@pytest.mark.parametrize("name", OURS)
def test_our_processes_are_told_of_the_folder_and_of_who_may_call(private: Release, name: str) -> None:
    environment = private.environment(f"steersman-{name}")
    assert environment["STEERSMAN_TLS__FOLDER"] == FOLDER
    assert environment["STEERSMAN_TLS__VERIFY_CLIENTS"] == "true"
    may = {
        "router": ["steersman-scaler", "steersman-controller"],
        "scaler": ["steersman-client"],
        "controller": None,
    }.get(name, ["steersman-router"])
    assert json.loads(environment.get("STEERSMAN_TLS__CLIENT_NAMES", "null")) == may


@pytest.mark.parametrize("name", OURS)
def test_kubelet_asks_over_https_what_it_asks_by_grpc_otherwise(private: Release, name: str) -> None:
    plain = render({"tierDefaults": {"autoscaling": {"keda": {"enabled": True}}}})
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = private.container(f"steersman-{name}")[probe]
        otherwise = plain.container(f"steersman-{name}")[probe]
        service = otherwise["grpc"].get("service")
        path = f"/healthz?service={service}" if service else "/healthz"
        https = {"path": path, "port": "metrics", "scheme": "HTTPS"}
        assert asked == {"httpGet": https, **{key: otherwise[key] for key in otherwise if key != "grpc"}}


@pytest.mark.parametrize("name", OURS)
def test_no_port_is_in_the_clear_for_kubelet(private: Release, name: str) -> None:
    assert "STEERSMAN_HEALTH__ADDRESS" not in private.environment(f"steersman-{name}")
    assert "health" not in {port["name"] for port in private.container(f"steersman-{name}")["ports"]}


def test_callers_need_no_certificate_unless_it_is_said() -> None:
    release = render(nested("tls.enabled", value=True))
    assert release.environment("steersman-router")["STEERSMAN_TLS__VERIFY_CLIENTS"] == "false"
    assert release.environment("steersman-backend-weak")["STEERSMAN_TLS__VERIFY_CLIENTS"] == "true"


def test_redis_speaks_nothing_else(private: Release) -> None:
    redis = private.container("steersman-redis")["args"]
    assert redis[redis.index("--port") + 1] == "0"
    assert redis[redis.index("--tls-port") + 1] == "6379"
    assert (
        private.environment("steersman-router")["STEERSMAN_CACHE__URL"] == "rediss://steersman-redis:6379/0"
    )


def test_keda_shows_a_certificate_and_checks_the_scalers(private: Release) -> None:
    (holder,) = {
        each["name"]
        for each in private.one("TriggerAuthentication", "steersman-scaler")["spec"]["secretTargetRef"]
    }
    assert holder == "steersman-client-tls"
    (trigger,) = private.one("ScaledObject", "steersman-backend-weak")["spec"]["triggers"]
    assert trigger["authenticationRef"] == {"name": "steersman-scaler"}
    assert trigger["metadata"]["enableTLS"] == "true"


def test_prometheus_reads_everything_by_tls(private: Release) -> None:
    (pods,) = private.one("ServiceMonitor", "steersman")["spec"]["endpoints"]
    (engines,) = private.one("PodMonitor", "steersman-engines-metrics")["spec"]["podMetricsEndpoints"]
    for read in (pods, engines):
        assert (read["scheme"], read["tlsConfig"]["serverName"]) == ("https", "steersman-metrics")
    assert private.names("ServiceMonitor") == {"steersman"}


def test_an_ingress_is_told_to_speak_tls_to_the_router(private: Release) -> None:
    annotations = private.one("Ingress", "steersman-router")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"


def test_helm_test_speaks_it_too(private: Release) -> None:
    (query,) = private.one("Pod", "steersman-test")["spec"]["containers"]
    assert {"name": "TLS_FOLDER", "value": FOLDER} in query["env"]


def test_rules_about_callers_certificates_are_as_the_router_reads_them(private: Release) -> None:
    text = private.one("ConfigMap", "steersman-policies")["data"]["certificates.yaml"]
    rules = certificates.parse(text.encode())
    assert rules.tenant(Peer(("spiffe://cluster.local/ns/search/sa/web",))) == "search"
    assert rules.tenant(Peer((), "CN=nightly,O=Mail")) == "mail"
    file = private.environment("steersman-router")["STEERSMAN_IDENTITY__CERTIFICATE_FILE"]
    assert file == "/etc/steersman/certificates.yaml"


def test_such_rules_need_callers_who_show_certificates() -> None:
    rule = {"tenant": "search", "uri": "spiffe://a/b"}
    with refused("tls.verifyCallers"):
        render({"router": {"identity": {"certificates": [rule]}}, "tls": {"enabled": True}})


def with_tls(source: str, **more: Any) -> dict[str, Any]:
    return {"tls": {"enabled": True, "source": source, **more}}


def test_secrets_of_ones_own_are_mounted_and_none_is_made() -> None:
    release = render(with_tls("secrets", secrets=SECRETS))
    assert release.names("Secret") == MADE
    for name, secret in (("steersman-router", "my-router"), ("steersman-backend-weak", "my-backend")):
        (volume,) = (each for each in release.pod(name)["volumes"] if each["name"] == "tls")
        assert volume["secret"]["secretName"] == secret


def test_a_secret_that_is_missing_is_named() -> None:
    with refused("tls.secrets.redis"):
        render(
            with_tls("secrets", secrets={name: secret for name, secret in SECRETS.items() if name != "redis"})
        )


def test_without_cert_manager_in_the_cluster_it_is_said() -> None:
    with refused("this cluster has no cert-manager"):
        render(with_tls("certManager"))


def test_cert_manager_is_asked_for_each_holder_by_an_issuer_of_our_own() -> None:
    release = render(with_tls("certManager", certManager={"check": False}))
    assert release.names("Issuer") == {"steersman-ca", "steersman-ca-itself"}
    assert release.names("Secret") == MADE
    router = release.one("Certificate", "steersman-router")["spec"]
    assert router["secretName"] == "steersman-router-tls"
    assert "steersman-router-headless" in router["dnsNames"]
    assert router["usages"] == ["digital signature", "server auth", "client auth"]
    assert router["issuerRef"]["name"] == "steersman-ca"
    mounted = {
        volume["secret"]["secretName"]
        for _, pod in release.pods()
        for volume in pod["volumes"]
        if "secret" in volume
    }
    assert mounted - {"steersman-keys"} <= {each["spec"]["secretName"] for each in release.of("Certificate")}


def test_or_by_an_issuer_of_yours() -> None:
    issuer = {"name": "corporate", "kind": "ClusterIssuer"}
    release = render(with_tls("certManager", certManager={"check": False, "issuerRef": issuer}))
    assert not release.of("Issuer")
    assert release.one("Certificate", "steersman-redis")["spec"]["issuerRef"] == issuer


def test_a_cache_outside_in_the_clear_is_refused() -> None:
    outside = {"redis": {"enabled": False}, "cache": {"external": {"url": "redis://cache:6379/0"}}}
    with refused("rediss://"):
        render({**outside, **with_tls("helm")})


def test_the_script_of_redis_is_one_that_a_shell_understands(private: Release) -> None:
    _, _, script, name = private.container("steersman-redis")["command"]
    assert name == "redis"
    assert yaml.safe_load(yaml.safe_dump(script)).rstrip().endswith('exec redis-server "$@"')
