"""The leader's work: asks the routers, and gives each resource the status that follows from their answers.

One round after the other, at a steady pace; a new spec, and a policy that routers are about to take up, make the next
one come sooner. What Kubernetes does not take is tried again ever less often.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from steersman.controller.model import ACCEPTED, PROGRAMMED, PolicyResource, Status, Truth, Uid
from steersman.controller.polling import Polling
from steersman.controller.ports import PolicyResources
from steersman.controller.retries import Retries
from steersman.controller.routers import Routers, View
from steersman.controller.status import Seen, in_force, status_of, worth_writing
from steersman.runtime.backoff import Backoff
from steersman.runtime.kubernetes.api import ApiError, Missing, Unreachable

log = logging.getLogger(__name__)

_BREATH_SECONDS: Final = 0.2
"""Between two rounds at least, whatever happens."""
_SHORTEST_PAUSE_SECONDS: Final = 1.0
_API: Final = "api"
"""Stands for the API server among the things that may be tried again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things are done, in seconds."""

    round: float = 5.0
    """From one round to the next."""
    eager: float = 1.0
    """The same, at first, while routers are about to take up a policy; then ever longer."""
    numbers: float = 30.0
    """Shares and boundaries are written at most this often."""
    refresh: float = 600.0
    """When routers were heard last is written at least this often."""
    longest_pause: float = 60.0
    """Between two attempts to write what Kubernetes does not take."""


class Observer(Protocol):
    """Is told what comes of the work; for metrics."""

    def saw(self, view: View, statuses: Sequence[Status]) -> None:
        """The routers after a round, and what the resources' statuses are or should be."""
        ...

    def reconciled(self, outcome: str) -> None:
        """A resource's turn came to this: `written`, `unchanged`, `failed` or `gone`."""
        ...

    def failed(self, operation: str) -> None:
        """Kubernetes did not do this."""
        ...


@dataclass(slots=True)
class Reconciling:
    """One leader's term; what it knows is gone with it.

    Args:
        resources: The resources and their statuses.
        polling: Asks the routers.
        routers: What is known of them.
        hold_seconds: After so long a silence a router does not count.
        pace: How often things are done.
        observer: Is told.
        now: The time of day.
        clock: Monotonic seconds.
    """

    resources: PolicyResources
    polling: Polling
    routers: Routers
    hold_seconds: float
    pace: Pace
    observer: Observer
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    _known: Sequence[PolicyResource] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _written: dict[Uid, tuple[str, Status]] = field(default_factory=dict)
    """What was written, and upon which version of the resource; good until another version is seen."""
    _retries: Retries = field(init=False)
    _eager: Backoff = field(init=False)

    def __post_init__(self) -> None:
        self._retries = Retries(_SHORTEST_PAUSE_SECONDS, self.pace.longest_pause, self.clock)
        self._eager = Backoff(self.pace.eager, self.pace.round)

    async def run(self) -> None:
        """Work, without end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.resources.follow(self.apply))
            while True:
                self._changed.clear()
                pause = self._eager.next() if await self.round() else self.pace.round
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                await asyncio.sleep(_BREATH_SECONDS)

    def apply(self, resources: Sequence[PolicyResource]) -> None:
        """These are the resources now."""
        if _specs(resources) != _specs(self._known or ()):
            self._changed.set()
            self._eager.reset()
        self._known, uids = resources, {each.uid for each in resources}
        self._written = {uid: written for uid, written in self._written.items() if uid in uids}
        self._retries.keep({_API, *uids})

    async def round(self) -> bool:
        """Ask the routers once, then see to each resource; whether something is about to change."""
        await self.polling.round(self.routers)
        view = self.routers.view()
        statuses = [await self._reconcile(self._with_latest(each), view) for each in self._known or ()]
        self.observer.saw(view, statuses)
        return any(_about_to_change(each) for each in statuses)

    async def _reconcile(self, resource: PolicyResource, view: View) -> Status:
        held = in_force(resource, view.heard)
        shares = self.routers.shares(resource.uid, held) if held is not None else ()
        now = self.now()
        wanted = status_of(resource, Seen(view, self.hold_seconds, shares, now))
        pace = self.pace
        if worth_writing(
            resource.status, wanted, numbers_seconds=pace.numbers, refresh_seconds=pace.refresh, now=now
        ):
            if self._retries.allows(resource.uid) and self._retries.allows(_API):
                self.observer.reconciled(await self._write(resource, wanted))
        else:
            self.observer.reconciled("unchanged")
        return wanted

    async def _write(self, resource: PolicyResource, status: Status) -> str:
        try:
            await self.resources.write_status(resource, status)
        except Missing:
            self._retries.failed(resource.uid)
            return "gone"
        except ApiError as error:
            # One that does not answer is not asked for each of a thousand resources.
            self._retries.failed(_API if isinstance(error, Unreachable) else resource.uid)
            self.observer.failed("status")
            log.warning("status not written", extra={"policy": resource.name, "error": str(error)})
            return "failed"
        self._retries.succeeded(resource.uid)
        self._retries.succeeded(_API)
        self._written[resource.uid] = (resource.version, status)
        await self._announce(resource, status)
        return "written"

    async def _announce(self, resource: PolicyResource, status: Status) -> None:
        """Record an event where it became known, or became otherwise, whether routers can use a policy."""
        before = resource.status.condition(ACCEPTED) if resource.status else None
        after = status.condition(ACCEPTED)
        if after is None or after.truth is Truth.UNKNOWN or (before and before.truth is after.truth):
            return
        try:
            await self.resources.announce(
                resource, reason=after.reason, message=after.message, warning=after.truth is Truth.FALSE
            )
        except ApiError as error:
            self.observer.failed("event")
            log.warning("event not recorded", extra={"policy": resource.name, "error": str(error)})

    def _with_latest(self, resource: PolicyResource) -> PolicyResource:
        """A resource with the status that it was just given, where that has not come back yet."""
        version, status = self._written.get(resource.uid, ("", None))
        return replace(resource, status=status) if status and version == resource.version else resource


def _specs(resources: Sequence[PolicyResource]) -> set[tuple[Uid, int]]:
    return {(each.uid, each.generation) for each in resources}


def _about_to_change(status: Status) -> bool:
    programmed = status.condition(PROGRAMMED)
    return programmed is not None and programmed.reason == "Pending"
