"""Installed with TLS on every hop: everything is ready and answers, KEDA hears, and certificates change under load."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any, Final

import pytest

from cluster.commands import Failed
from cluster.figures import Figures
from cluster.kubectl import Namespace
from cluster.release import Release, Values
from cluster.values import SMALL

PRIVATE: Final[Values] = {
    "tls": {"enabled": True, "verifyCallers": True},
    "router": {"identity": {"certificates": [{"subject": "CN=steersman-client", "tenant": "tester"}]}},
    "tiers": {"weak": {"autoscaling": {"keda": {"enabled": True, "pollingInterval": 5}}}},
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
SERVED_SECONDS: Final = 150.0
"""Until kubelet has brought a changed Secret into a pod, and the process has looked."""
ASKING: Final = (Path(__file__).parent / "caller" / "by_tls.py").read_text()
SERVED: Final = "import ssl,sys; print(ssl.get_server_certificate((sys.argv[1], int(sys.argv[2]))))"


@pytest.fixture(scope="module")
def installed(release: Release, image_values: Values, figures: Figures) -> Release:
    begun = time.monotonic()
    release.install(image_values, SMALL, PRIVATE)
    figures.keep("install_with_tls", seconds_until_ready=round(time.monotonic() - begun, 1))
    return release


def test_helm_test_is_green_and_the_classifier_has_decided(installed: Release) -> None:
    installed.test()
    told = asked(installed.namespace, seconds=5)
    assert told["failed"] == []
    assert {"SCORE", "OUT_OF_DOMAIN"} >= set(told["reasons"])
    assert "BYPASSED" not in told["caches"]


def test_nothing_is_answered_in_the_clear(installed: Release) -> None:
    script = "import http.client as h, sys; c = h.HTTPConnection(sys.argv[1]); c.request('GET', '/'); c.getresponse()"
    for address in ("steersman-router:8080", "steersman-router-headless:9090", "steersman-router:9000"):
        with pytest.raises(Failed):
            inside(installed.namespace, script, address)
    with pytest.raises(Failed):
        installed.namespace.kubectl("exec", "deployment/steersman-redis", "--", "redis-cli", "ping")


def test_keda_hears_the_scaler(installed: Release) -> None:
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
    pods = {pod["metadata"]["name"] for pod in space.items("pods", instance="steersman")}
    start(space, name="rotating", seconds=60)
    for name in HOLDERS:
        space.kubectl(
            "annotate", "secret", f"steersman-{name}-tls", "steersman.dev/renew-at=0", "--overwrite"
        )
    installed.upgrade(image_values, SMALL, PRIVATE)
    after = {name: certificate(space, name) for name in HOLDERS}
    assert not set(before.values()) & set(after.values())
    assert pods <= {pod["metadata"]["name"] for pod in space.items("pods", instance="steersman")}
    hurry(space)
    begun = time.monotonic()
    for name, port in (("router", 9000), ("router", 8080), ("backend-weak", 9000), ("redis", 6379)):
        until_served(space, name, port, after[name])
    figures.keep("certificates_renewed", seconds_until_served=round(time.monotonic() - begun, 1))
    told = finished(space, "rotating")
    figures.keep("certificates_renewed", answered=told["answered"], failed=len(told["failed"]))
    assert told["failed"] == []
    assert told["answered"] > 0


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


def asked(space: Namespace, *, seconds: int) -> dict[str, Any]:
    """What callers with a connection a request were told."""
    start(space, name="asking", seconds=seconds)
    return finished(space, "asking")


def start(space: Namespace, *, name: str, seconds: int) -> None:
    """Start them, in a pod with the certificate of the release's client."""
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
                        "command": ["python", "-c", ASKING, "steersman-router:8080", FOLDER, str(seconds)],
                        "volumeMounts": [{"name": "tls", "mountPath": FOLDER}],
                    }
                ],
            },
        }
    )
    space.wait("condition=Ready", f"pod/{name}", seconds=60)


def finished(space: Namespace, name: str) -> dict[str, Any]:
    """What they told in the end."""
    space.wait("jsonpath={.status.phase}=Succeeded", f"pod/{name}", seconds=120)
    told: dict[str, Any] = json.loads(space.kubectl("logs", name).splitlines()[-1])
    return told
