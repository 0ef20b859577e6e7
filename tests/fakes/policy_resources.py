"""RoutingPolicy resources in memory: the test says which there are, and what cannot be written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from steersman.controller.model import PolicyResource, Status
from steersman.runtime.kubernetes.api import ApiError, Missing


@dataclass
class FakePolicyResources:
    """Implements `steersman.controller.ports.PolicyResources`; its knobs are plain attributes."""

    resources: dict[str, PolicyResource] = field(default_factory=dict)
    trouble: ApiError | None = None
    """What every write meets."""
    mute: bool = False
    """Whether nobody is told of changes."""
    events: list[tuple[str, str, bool]] = field(default_factory=list)
    """Reason, message, and whether it is a warning."""
    writes: int = 0
    _followers: list[Callable[[Sequence[PolicyResource]], None]] = field(default_factory=list)
    _ends: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, resource: PolicyResource) -> None:
        """Make or change one."""
        self.resources[resource.uid] = resource
        self._tell()

    def delete(self, resource: PolicyResource) -> None:
        """Delete one."""
        del self.resources[resource.uid]
        self._tell()

    def status(self, uid: str) -> Status | None:
        """What a resource says now."""
        return self.resources[uid].status

    async def follow(self, apply: Callable[[Sequence[PolicyResource]], None]) -> None:
        """See `steersman.controller.ports.PolicyResources.follow`."""
        self._followers.append(apply)
        try:
            apply(list(self.resources.values()))
            await self._ends.wait()  # for ever
        finally:
            self._followers.remove(apply)

    async def write_status(self, resource: PolicyResource, status: Status) -> None:
        """See `steersman.controller.ports.PolicyResources.write_status`."""
        if self.trouble is not None:
            raise self.trouble
        if resource.uid not in self.resources:
            raise Missing("404: there is no such resource")
        self.writes += 1
        stored = self.resources[resource.uid]
        self.resources[resource.uid] = replace(stored, status=status, version=f"{stored.version}+")
        self._tell()

    async def announce(self, resource: PolicyResource, *, reason: str, message: str, warning: bool) -> None:
        """See `steersman.controller.ports.PolicyResources.announce`."""
        del resource
        if self.trouble is not None:
            raise self.trouble
        self.events.append((reason, message, warning))

    def _tell(self) -> None:
        for apply in [] if self.mute else self._followers:
            apply(list(self.resources.values()))
