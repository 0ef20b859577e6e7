"""What routers report, what it adds up to, and what a trigger asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Part = str
"""Something that scales: `router`, `classifier`, or `tier/NAME`."""

ROUTER: Final[Part] = "router"
CLASSIFIER: Final[Part] = "classifier"
_TIER: Final = "tier/"


def tier_part(name: str) -> Part:
    """The part that a tier is."""
    return _TIER + name


@dataclass(frozen=True, slots=True)
class Counts:
    """Demand for one part as one router sees it."""

    waiting: int = 0
    running: int = 0
    unmet_total: int = 0
    """Requests since that router started that wanted the part and did not get it."""


@dataclass(frozen=True, slots=True)
class Report:
    """All demand that one router sees."""

    replica: str
    """Identifies the router's process; another one after a restart."""
    demand: Mapping[Part, Counts]


@dataclass(frozen=True, slots=True)
class Sums:
    """Demand for one part, over all routers that count."""

    waiting: int = 0
    running: int = 0
    unmet: int = 0
    """Requests that wanted the part lately and did not get it."""

    @property
    def total(self) -> int:
        """What KEDA is told."""
        return self.waiting + self.running + self.unmet


@dataclass(frozen=True, slots=True)
class Audience:
    """How many routers are listened to, and how well."""

    heard: int = 0
    """They tell their demand now."""
    silent: int = 0
    """They cannot be heard now; their last word counts."""
    unheard: int = 0
    """They are there, but nothing of them counts."""
    oldest_seconds: float = 0.0
    """Age of the oldest word that counts."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What one trigger of a ScaledObject asks for."""

    part: Part
    target_per_replica: float
    """Demand that one replica is to have; above 0."""
    activation: float
    """The workload is wanted while demand is above this."""

    @property
    def metric_name(self) -> str:
        """Name of the metric in Kubernetes' metrics API, which takes lower case, digits and dashes."""
        return "steersman-" + re.sub(r"[^a-z0-9]+", "-", self.part.lower())
