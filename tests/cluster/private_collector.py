"""A collector by TLS in the cluster, of an authority of its own, which takes spans from who has a certificate by it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any, Final

from cluster.callers import pod
from cluster.images import Image
from cluster.kubectl import Namespace
from cluster.release import Values
from steersman.local.authority import Authority, Issued

NAME: Final = "collector"
PORT: Final = 4318
SPANS: Final[Values] = {
    "endpoint": f"https://{NAME}:{PORT}",
    "sampledShare": 1,
    "tls": {"secretName": "for-the-collector", "clientCertificate": True},
}
"""Values of `otel` for a release that sends it spans."""
FOLDER: Final = "/etc/steersman-otel"
"""Where a router has its certificate for it."""
_VALID: Final = timedelta(days=1)


def start(space: Namespace, caller: Image) -> None:
    """Make its certificates and the release's for it, and have it serve."""
    authority = Authority("The collector's own")
    own = pod(
        NAME, caller, command=["python", "-m", "cluster.caller.collector", "/tls"], port=PORT, path="/healthz"
    )
    (container,) = own["spec"]["containers"]
    container["readinessProbe"]["httpGet"]["scheme"] = "HTTPS"
    container["volumeMounts"] = [{"name": "tls", "mountPath": "/tls", "readOnly": True}]
    own["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": NAME}}]
    space.apply(
        _secret(NAME, authority.issue(NAME, valid=_VALID)),
        _secret("for-the-collector", authority.issue("steersman", valid=_VALID)),
        own,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": {"app": NAME}, "ports": [{"port": PORT}]},
        },
    )
    space.wait("condition=Ready", f"pod/{NAME}", seconds=60)


def _secret(name: str, issued: Issued) -> dict[str, Any]:
    files = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": issued.trusted}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name},
        "data": {file: base64.b64encode(content).decode() for file, content in files.items()},
    }
