"""The scaler's settings; see `steersman.runtime.settings` for how they are read."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from steersman.runtime.settings import Group, GrpcServer, Kubernetes, ProcessSettings, Seconds


class KedaServer(GrpcServer):
    """The gRPC listener for KEDA, whose few connections may grow old: it looks for new replicas when one breaks."""

    max_connection_age_seconds: Seconds = 3600.0
    """Age at which a connection is asked to reconnect."""
    max_connection_age_grace_seconds: Seconds = 3600.0
    """Time that requests on such a connection have to finish. Activity streams end before, KEDA opens them anew."""
    drain_seconds: Seconds = 10.0
    """Time that requests have to finish after SIGTERM; activity streams end at once."""


class Routers(Group):
    """The routers, and how they are listened to."""

    target: str = "dns:///router:9000"
    """`HOST:PORT[,HOST:PORT...]`, `dns:///NAME:PORT` for all addresses of a name, or `k8s:///SERVICE:PORT`."""
    refresh_seconds: Seconds = 2.0
    """Time between two look-ups of their addresses; to look at EndpointSlices that are followed costs nothing."""
    interval_seconds: Annotated[float, Field(ge=0.1, le=3600.0)] = 1.0
    """A router reports at least this often; a change it reports sooner."""
    stall_seconds: Seconds = 5.0
    """Silence after which a stream is given up and opened anew."""
    longest_pause_seconds: Seconds = 2.0
    """Longest time between two attempts to hear a router."""

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if self.stall_seconds <= self.interval_seconds:
            raise ValueError("stall_seconds must be longer than interval_seconds")
        return self


class Counting(Group):
    """For how long what has been heard is believed."""

    hold_seconds: Seconds = 60.0
    """A router that cannot be heard keeps its last word for so long."""
    unmet_seconds: Seconds = 20.0
    """A request that was not met counts for so long: more than the 15 s between two looks of an HPA."""
    settle_seconds: Seconds = 5.0
    """Once the first router is heard, the others are waited for at most so long."""


class ScalerSettings(ProcessSettings):
    """All settings of a scaler."""

    grpc: KedaServer = KedaServer()
    routers: Routers = Routers()
    counting: Counting = Counting()
    kubernetes: Kubernetes = Kubernetes()
    resend_seconds: Seconds = 30.0
    """Longest time between two messages on an activity stream."""
