"""Settings that every process has, in frozen groups.

Read once, from the environment, by each service's `__main__`. A nested name is written with a double underscore:
`STEERSMAN_GRPC__ADDRESS`. The text under a field is its documentation, and the README's table is made from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Address = Annotated[str, StringConstraints(pattern=r"^.+:\d+$")]
"""HOST:PORT to listen on; port 0 takes a free one."""
Seconds = Annotated[float, Field(gt=0)]
HostAndPerhapsPort = Annotated[
    str, StringConstraints(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$")
]
"""HOST or HOST:PORT; an IPv6 address stands in brackets."""


class Group(BaseModel):
    """A group of settings: closed, so that a misspelt name is an error, and unchangeable."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class GrpcServer(Group):
    """The gRPC listener."""

    address: Address = "0.0.0.0:9000"
    """Where to listen."""
    max_message_bytes: Annotated[int, Field(gt=0)] = 8 * 1024 * 1024
    """Largest request in bytes; a larger one is RESOURCE_EXHAUSTED."""
    max_connection_age_seconds: Seconds = 60.0
    """Age at which a connection is asked to reconnect, so that long-lived callers find new replicas."""
    max_connection_age_grace_seconds: Seconds = 600.0
    """Time that requests on such a connection have to finish; longer than the longest answer."""
    drain_seconds: Seconds = 60.0
    """Time that requests have to finish after SIGTERM."""
    max_concurrent_rpcs: Annotated[int, Field(gt=0)] = 4096
    """RPCs in progress at once; one more is RESOURCE_EXHAUSTED."""
    max_waiting_rpcs: Annotated[int, Field(gt=0)] = 256
    """RPCs of one method that wait to be taken up; beyond it a growing part is CANCELLED, at twice as many all."""


class MetricsServer(Group):
    """The Prometheus endpoint."""

    address: Address = "0.0.0.0:9090"
    """Where to listen."""


class HealthServer(Group):
    """A port that tells health by gRPC and nothing else, for kubelet's probes."""

    address: Address | None = None
    """Where to listen; nowhere where not set. In the clear, since those probes speak no TLS: not together with it."""


class Kubernetes(Group):
    """The Kubernetes API, for a process that runs in a cluster."""

    endpoint_slices: bool = False
    """Whether addresses of `k8s:///SERVICE:PORT` come from EndpointSlices; from DNS otherwise."""
    namespace: str = "default"
    """Where they, and whatever else it takes from the cluster, are looked for: its own."""
    kubeconfig: Path | None = None
    """Says where the API server is, and who asks; the pod's ServiceAccount does when not set."""
    start_seconds: Seconds = 3.0
    """Time that each of them is waited for at the start; who cannot have them serves without."""


class Tls(Group):
    """TLS, on every listener and every client at once."""

    folder: Path | None = None
    """Folder with `tls.crt`, `tls.key` and `ca.crt`, as cert-manager makes it; followed. Plain text where not set."""
    verify_clients: bool = True
    """Whether only those can connect who show a certificate by an authority in `ca.crt`."""
    client_names: tuple[str, ...] = ()
    """DNS names or URIs of the certificates that may call, as a JSON list; any where it is empty. A router's
    callers are told apart by identity instead: there these are who may ask for demand and for policies."""
    plaintext_to: tuple[HostAndPerhapsPort, ...] = ()
    """Collectors and engines that may be asked in the clear all the same, as a JSON list of HOST or HOST:PORT."""


class Log(Group):
    """Logging, to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is written."""
    format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for people."""


class ProcessSettings(BaseSettings):
    """What every process can be told."""

    model_config = SettingsConfigDict(
        env_prefix="STEERSMAN_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    grpc: GrpcServer = GrpcServer()
    metrics: MetricsServer = MetricsServer()
    health: HealthServer = HealthServer()
    log: Log = Log()
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _no_listener_in_the_clear(self) -> Self:
        if self.tls.folder is not None and self.health.address is not None:
            raise ValueError(
                "with TLS on, HEALTH__ADDRESS cannot be set: it is in the clear; ask /healthz by HTTPS"
            )
        return self
