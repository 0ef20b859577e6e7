"""Keeps a copy of all objects of a resource: lists them once, and then follows their changes.

What is known stays when the API server is away. A watch that ended or broke is resumed where it was; after an error
of the API server's own, an expired version (410) among them, everything is listed anew, which is always right.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from steersman.runtime.backoff import Backoff
from steersman.runtime.kubernetes.api import (
    ApiError,
    Change,
    Event,
    Missing,
    Object,
    Rejected,
    Resource,
    Watchable,
)

log = logging.getLogger(__name__)

Objects = Mapping[str, Object]
"""By name."""

_SHORTEST_SECONDS: Final = 0.2
_LONGEST_SECONDS: Final = 10.0
_SETTLED_SECONDS: Final = 5.0
"""A connection that lasted so long was a good one, and the next pause is a short one again."""
_MISSING_SECONDS: Final = 30.0
"""Time between two looks for a resource that the cluster does not have (yet)."""


def _backoff() -> Backoff:
    return Backoff(_SHORTEST_SECONDS, _LONGEST_SECONDS)


@dataclass(slots=True)
class Reflector:
    """The copy, and what keeps it up to date.

    Args:
        api: Where the objects are.
        resource: Which ones.
        namespace: Whose.
        on_change: Called with all objects after the first list and after each change.
        on_error: Called with one word each time that the API cannot be asked.
        backoff: Pauses between attempts.
        clock: Seconds, as `time.monotonic` counts them.
        sleep: Waits for some seconds.
    """

    api: Watchable
    resource: Resource
    namespace: str
    on_change: Callable[[Objects], Awaitable[None]]
    on_error: Callable[[str], None] = lambda _: None
    backoff: Backoff = field(default_factory=_backoff)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _objects: dict[str, Object] = field(default_factory=dict)
    _version: str = ""
    _listed: asyncio.Event = field(default_factory=asyncio.Event)
    _heard_at: float = field(init=False)
    _trouble: str = ""

    def __post_init__(self) -> None:
        self._heard_at = self.clock()

    @property
    def objects(self) -> Objects | None:
        """All objects, as last heard; None until they have been listed once."""
        return self._objects if self._listed.is_set() else None

    @property
    def silence(self) -> float:
        """Seconds since the API server was last heard; about a minute is quite usual."""
        return self.clock() - self._heard_at

    async def listed(self, timeout: float) -> bool:  # noqa: ASYNC109 - a bounded wait is what this is for
        """Wait until the objects have been listed once; whether they have been, in this time."""
        try:
            await asyncio.wait_for(self._listed.wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def follow(self) -> None:
        """Keep the copy up to date; for a background task."""
        self._version = ""  # whatever ended the run before, a new list mends it
        while True:
            began, pause = self.clock(), 0.0
            try:
                await self._go_on()
            except Missing as error:
                self._failed(error)
                pause = _MISSING_SECONDS
            except ApiError as error:
                self._failed(error)
            if self.clock() - began >= _SETTLED_SECONDS:
                self.backoff.reset()
            await self.sleep(max(pause, self.backoff.next()))

    async def _go_on(self) -> None:
        """List, where that is needed, and watch until the watch ends."""
        if not self._version:
            await self._list()
        async with aclosing(self.api.watch(self.resource, self.namespace, version=self._version)) as events:
            async for event in events:
                await self._take(event)
        self._heard()

    async def _list(self) -> None:
        listing = await self.api.list(self.resource, self.namespace)
        self._heard()
        self._objects = {each.name: each for each in listing.objects}
        await self.on_change(self._objects)
        self._version = listing.version
        self._listed.set()

    async def _take(self, event: Event) -> None:
        self._heard()
        if event.change is not Change.BOOKMARK:
            objects = {name: each for name, each in self._objects.items() if name != event.object.name}
            if event.change is not Change.DELETED:
                objects[event.object.name] = event.object
            self._objects = objects
            await self.on_change(objects)
        self._version = event.object.version

    def _heard(self) -> None:
        self._heard_at = self.clock()
        if self._trouble:
            log.info("the Kubernetes API is heard again", extra={"resource": self.resource.plural})
            self._trouble = ""

    def _failed(self, error: ApiError) -> None:
        self.on_error(error.reason)
        if isinstance(error, Rejected):
            self._version = ""
        if error.reason != self._trouble:  # said once, not at each attempt
            self._trouble = error.reason
            log.warning(
                "the Kubernetes API cannot be asked, what is known stays",
                extra={"resource": self.resource.plural, "reason": error.reason, "error": str(error)},
            )
