"""What routers report, and what a resource's status says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

Uid = str
"""Identifies a resource; another one after it was deleted and made anew."""

ACCEPTED: Final = "Accepted"
"""The condition that says whether routers can use a policy."""
PROGRAMMED: Final = "Programmed"
"""The condition that says whether every router decides by it."""


class Truth(Enum):
    """Whether a condition holds; the values are Kubernetes' own."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Classifier:
    """The classifier whose scores a router applies its policies to."""

    name: str
    version: str
    artefact_digest: str


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions for one tier, since a router took the policy's version into use."""

    tier: str
    wanted: int = 0
    """Requests that the policy meant for it."""
    answered: int = 0
    """Requests that went to it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A resource's policy that a router decides by."""

    generation: int
    version: str
    """Digest of its definition: the same at every router that has the same."""
    boundaries: tuple[float, ...] = ()
    decisions: tuple[Decisions, ...] = ()
    """One a tier, cheapest first."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A resource's generation that a router cannot use."""

    generation: int
    reason: str
    """For people."""
    generation_in_force: int = 0
    """What it decides by instead; 0 where that is nothing of this resource."""


@dataclass(frozen=True, slots=True)
class Report:
    """One router's word on the resources."""

    replica: str
    """Identifies the router's process; another one after a restart."""
    classifier: Classifier | None = None
    """None until the router has reached it once."""
    held: Mapping[Uid, Held] = field(default_factory=dict)
    refused: Mapping[Uid, Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a resource."""

    type: str
    truth: Truth
    reason: str
    """One word, for programs."""
    message: str
    """For people."""
    generation: int
    """Of the spec that it is about."""
    since: datetime
    """When `truth` changed last."""


@dataclass(frozen=True, slots=True)
class TierShare:
    """Shares of one tier in a policy's queries, in [0, 1]."""

    tier: str
    wanted: float
    answered: float


@dataclass(frozen=True, slots=True)
class Status:
    """A resource's status."""

    generation: int
    """Of the spec that it is about."""
    conditions: tuple[Condition, ...] = ()
    holding: int = 0
    """Routers that decide by this generation."""
    total: int = 0
    """Routers that there are."""
    shares: tuple[TierShare, ...] = ()
    """Cheapest tier first; empty while there is nothing to tell shares from."""
    boundaries: tuple[float, ...] = ()
    """In effect."""
    classifier: Classifier | None = None
    observed_at: datetime | None = None
    """When a router was heard last."""

    def condition(self, type_: str) -> Condition | None:
        """The condition of a type, if there is one."""
        return next((each for each in self.conditions if each.type == type_), None)


@dataclass(frozen=True, slots=True)
class PolicyResource:
    """A RoutingPolicy resource, as far as its status needs it."""

    namespace: str
    name: str
    uid: Uid
    generation: int
    """Rises with each change of its spec."""
    version: str = ""
    """Changes with any change, that of its status too."""
    status: Status | None = None
