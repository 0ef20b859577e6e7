"""The controller's settings; see `steersman.runtime.settings` for how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from steersman.runtime.settings import Group, ProcessSettings, Seconds


class Kubernetes(Group):
    """The Kubernetes API."""

    namespace: str = "default"
    """Where the resources and the Lease are: the controller's own."""
    kubeconfig: Path | None = None
    """Says where the API server is, and who asks; the pod's ServiceAccount does when not set."""


class Election(Group):
    """How replicas agree on who works."""

    lease: str = "steersman-controller"
    """Name of the Lease; controllers with the same one stand in for each other."""
    duration_seconds: Annotated[int, Field(gt=0)] = 12
    """A leader that is heard no more is replaced after so long."""
    deadline_seconds: Seconds = 8.0
    """A leader that could not renew its Lease for so long stops."""
    retry_seconds: Seconds = 2.0
    """Time between two looks at the Lease."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if not self.retry_seconds < self.deadline_seconds < self.duration_seconds:
            raise ValueError("retry_seconds, deadline_seconds and duration_seconds must ascend")
        return self


class Routers(Group):
    """The routers, and how they are asked."""

    target: str = "dns:///router:9000"
    """`HOST:PORT[,HOST:PORT...]`, or `dns:///NAME:PORT` for all addresses of a name."""
    interval_seconds: Seconds = 5.0
    """Time between two questions to each of them."""
    timeout_seconds: Seconds = 2.0
    """Time that one has for its answer."""
    concurrency: Annotated[int, Field(gt=0)] = 32
    """So many are asked at once."""
    hold_seconds: Seconds = 30.0
    """One that does not answer keeps its last word for so long."""

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if self.hold_seconds <= self.interval_seconds + self.timeout_seconds:
            raise ValueError("hold_seconds must be longer than interval_seconds and timeout_seconds together")
        return self


class Reporting(Group):
    """What statuses say of what moves all the time."""

    window_seconds: Seconds = 300.0
    """Shares are those of the decisions of the last while."""
    numbers_seconds: Seconds = 30.0
    """Shares and boundaries are written at most this often."""
    refresh_seconds: Seconds = 600.0
    """When the routers were heard last is written at least this often."""


class ControllerSettings(ProcessSettings):
    """All settings of a controller."""

    kubernetes: Kubernetes = Kubernetes()
    election: Election = Election()
    routers: Routers = Routers()
    reporting: Reporting = Reporting()
