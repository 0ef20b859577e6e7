"""Installed with TLS on every hop: everything is ready and answers, KEDA hears, and certificates change under load."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any, Final

import pytest

from cluster import private_collector
from cluster.commands import Failed
from cluster.figures import Figures
from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import Release, Values
from cluster.values import SMALL

PRIVATE: Final[Values] = {
    "tls": {"enabled": True, "verifyCallers": True},
    "router": {"identity": {"certificates": [{"subject": "CN=steersman-client", "tenant": "tester"}]}},
    "tiers": {"weak": {"autoscaling": {"keda": {"enabled": True, "pollingInterval": 5}}}},
    "otel": private_collector.SPANS,
}
FOLDER: Final = "/etc/steersman-tls"
HOLDERS: Final = (
    "router",
    "backend-weak",
    "backend-strong",
    "scaler",
    "controller",
    "redis",
    "classifier",
    "client",
)
PORTS: Final = (
    "steersman-router:8080",
    "steersman-router:9000",
    "steersman-router-headless:9090",
    "steersman-backend-weak:9000",
    "steersman-backend-weak:9443",
    "steersman-backend-weak:9444",
    "steersman-classifier:8000",
    "steersman-classifier:8001",
    "steersman-classifier:8002",
)
BEHIND: Final = (
    "steersman-backend-weak:8000",
    "steersman-classifier:8010",
    "steersman-classifier:8011",
    "steersman-classifier:8012",
    "steersman-classifier:8013",
)
"""Ports of the loopback, where Envoy asks an engine and Triton, and takes Triton's spans."""
TRACED: Final = {"steersman-router", "steersman-backend", "steersman-classifier"}
SERVING: Final = (
    ("router", 9000),
    ("router", 8080),
    ("backend-weak", 9000),
    ("backend-weak", 9443),
    ("redis", 6379),
    ("classifier", 8000),
    ("classifier", 8001),
)
SERVED_SECONDS: Final = 150.0
"""Until kubelet has brought a changed Secret into a pod, and the process has looked."""
ASKING: Final = (Path(__file__).parent / "caller" / "by_tls.py").read_text()
SERVICES: Final = (Path(__file__).parent / "caller" / "services_by_tls.py").read_text()
READING: Final = (Path(__file__).parent / "caller" / "metrics_by_tls.py").read_text()
PLAINLY: Final = """
import http.client, sys
asked = http.client.HTTPConnection(sys.argv[1], timeout=5)
try:
    asked.connect()
    asked.request("GET", "/")
    print("answered", asked.getresponse().status)
except ConnectionRefusedError:
    print("nobody is there")
except (http.client.HTTPException, ConnectionError):
    print("refused")
"""
SERVED: Final = "import ssl,sys; print(ssl.get_server_certificate((sys.argv[1], int(sys.argv[2]))))"


@pytest.fixture(scope="module")
def installed(release: Release, image_values: Values, caller: Image, figures: Figures) -> Release:
    private_collector.start(release.namespace, caller)
    begun = time.monotonic()
    release.install(image_values, SMALL, PRIVATE)
    figures.keep("install_with_tls", seconds_until_ready=round(time.monotonic() - begun, 1))
    return release


def test_helm_test_is_green_and_the_classifier_has_decided(installed: Release) -> None:
    installed.test()
    told = asked(installed.namespace, seconds=5)
    assert told["failed"] == 0, told["failures"]
    assert {"SCORE", "OUT_OF_DOMAIN"} >= set(told["reasons"])
    assert "BYPASSED" not in told["caches"]


@pytest.mark.parametrize("address", PORTS)
def test_nothing_is_answered_in_the_clear(installed: Release, address: str) -> None:
    assert inside(installed.namespace, PLAINLY, address) == "refused\n"


@pytest.mark.parametrize("address", BEHIND)
def test_what_has_no_tls_of_its_own_is_on_the_loopback_alone(installed: Release, address: str) -> None:
    assert inside(installed.namespace, PLAINLY, address) == "nobody is there\n"


def test_redis_answers_nothing_in_the_clear(installed: Release) -> None:
    with pytest.raises(Failed):
        installed.namespace.kubectl("exec", "deployment/steersman-redis", "--", "redis-cli", "ping")


def test_prometheus_reads_what_has_no_tls_of_its_own(installed: Release) -> None:
    addresses = {"steersman-classifier:8002": "nv_", "steersman-backend-weak:9444": "llamacpp:"}
    start(installed.namespace, "reading", READING, FOLDER, "steersman-metrics", *addresses)
    told = finished(installed.namespace, "reading")
    assert all(told[address].startswith(prefix) for address, prefix in addresses.items())


def test_a_trace_is_complete_in_a_collector_by_tls(installed: Release) -> None:
    """Triton, now and then, puts its spans into a trace of its own: some of many is complete."""
    assert asked(installed.namespace, seconds=5, name="traced")["failed"] == 0
    address, end = f"{private_collector.NAME}:{private_collector.PORT}", time.monotonic() + 30
    while True:
        found = json.loads(inside(installed.namespace, SERVICES, address, private_collector.FOLDER))
        if set(found) >= TRACED:
            return
        assert time.monotonic() < end, found
        time.sleep(1)


def test_keda_hears_the_scaler(installed: Release) -> None:
    # It asked before there was a scaler, and waits longer after each failure: a change of the resource has it ask now.
    installed.namespace.kubectl("annotate", "scaledobject", "steersman-backend-weak", "looked-at=now")
    end = time.monotonic() + 60
    while True:
        scaled = installed.namespace.get("scaledobject", "steersman-backend-weak")
        said = {each["type"]: each["status"] for each in scaled.get("status", {}).get("conditions", [])}
        health = scaled.get("status", {}).get("health", {})
        if (
            said.get("Ready") == "True"
            and all(each["status"] == "Happy" for each in health.values())
            and health
        ):
            return
        assert time.monotonic() < end, scaled.get("status")
        time.sleep(1)


def test_no_request_fails_while_an_upgrade_renews_all_certificates(
    installed: Release, image_values: Values, figures: Figures
) -> None:
    space = installed.namespace
    before = {name: certificate(space, name) for name in HOLDERS}
    pods = starts(space)
    start(space, "rotating", ASKING, "steersman-router:8080", FOLDER, "60")
    space.wait("condition=Ready", "pod/rotating", seconds=60)
    for name in HOLDERS:
        space.kubectl(
            "annotate", "secret", f"steersman-{name}-tls", "steersman.dev/renew-at=0", "--overwrite"
        )
    installed.upgrade(image_values, SMALL, PRIVATE)
    after = {name: certificate(space, name) for name in HOLDERS}
    assert not set(before.values()) & set(after.values())
    hurry(space)
    begun = time.monotonic()
    for name, port in SERVING:
        until_served(space, name, port, after[name])
    seconds = round(time.monotonic() - begun, 1)
    told = finished(space, "rotating")
    counts = {"answered": told["answered"], "failed": told["failed"]}
    figures.keep("certificates_renewed", seconds_until_served=seconds, **counts)
    assert told["failed"] == 0, told["failures"]
    assert told["answered"] > 0
    assert {"SCORE", "OUT_OF_DOMAIN"} >= set(told["reasons"])  # the classifier was there all the time
    assert starts(space) == pods


def test_no_decision_lacks_its_score_while_the_classifier_is_replaced(installed: Release) -> None:
    """Triton drains while Envoy still passes on what it is asked."""
    space = installed.namespace
    start(space, "replacing", ASKING, "steersman-router:8080", FOLDER, "60")
    space.wait("condition=Ready", "pod/replacing", seconds=60)
    space.kubectl("rollout", "restart", "deployment/steersman-classifier")
    installed.ready()
    installed.settled()
    told = finished(space, "replacing")
    assert told["failed"] == 0, told["failures"]
    assert {"SCORE", "OUT_OF_DOMAIN"} >= set(told["reasons"])


def starts(space: Namespace) -> dict[tuple[str, str], int]:
    """How often each container was started anew, by pod and name; sidecars among them."""
    return {
        (pod["metadata"]["name"], container["name"]): container["restartCount"]
        for pod in space.items("pods", instance="steersman")
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in pod["status"].get(kind, [])
    }


def inside(space: Namespace, script: str, *arguments: str) -> str:
    """What a script prints in a router's pod."""
    return space.kubectl("exec", "deployment/steersman-router", "--", "python", "-c", script, *arguments)


def certificate(space: Namespace, name: str) -> str:
    """The one in a Secret."""
    data = space.get("secret", f"steersman-{name}-tls")["data"]
    return base64.b64decode(data["tls.crt"]).decode().strip()


def hurry(space: Namespace) -> None:
    """Have kubelet look at each pod now, as it does when a pod changes: it brings changed Secrets then."""
    for pod in space.items("pods", instance="steersman"):
        space.kubectl("annotate", "pod", pod["metadata"]["name"], "looked-at=now", "--overwrite")


def until_served(space: Namespace, name: str, port: int, wanted: str) -> None:
    """Until a listener shows a certificate."""
    end = time.monotonic() + SERVED_SECONDS
    while inside(space, SERVED, f"steersman-{name}", str(port)).strip() != wanted:
        assert time.monotonic() < end, f"{name}:{port} shows another certificate"
        time.sleep(2)


def asked(space: Namespace, *, seconds: int, name: str = "asking") -> dict[str, Any]:
    """What callers with a connection a request were told."""
    start(space, name, ASKING, "steersman-router:8080", FOLDER, str(seconds))
    return finished(space, name)


def start(space: Namespace, name: str, script: str, *arguments: str) -> None:
    """Start a script in a pod with the certificate of the release's client."""
    spec = space.get("deployment", "steersman-router")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    space.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": spec["securityContext"],
                "volumes": [{"name": "tls", "secret": {"secretName": "steersman-client-tls"}}],
                "containers": [
                    {
                        "name": "caller",
                        "image": container["image"],
                        "imagePullPolicy": container["imagePullPolicy"],
                        "securityContext": container["securityContext"],
                        "command": ["python", "-c", script, *arguments],
                        "volumeMounts": [{"name": "tls", "mountPath": FOLDER}],
                    }
                ],
            },
        }
    )


def finished(space: Namespace, name: str) -> dict[str, Any]:
    """What it told in the end: a log would do, but nodes that share a machine tidy away each other's."""
    space.wait("jsonpath={.status.phase}=Succeeded", f"pod/{name}", seconds=120)
    (container,) = space.get("pod", name)["status"]["containerStatuses"]
    told: dict[str, Any] = json.loads(container["state"]["terminated"]["message"])
    return told
