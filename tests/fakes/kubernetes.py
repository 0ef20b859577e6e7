"""A fake Kubernetes API: one resource in one namespace, with knobs for the bad days of a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from steersman.runtime.kubernetes.api import (
    ApiError,
    Change,
    Event,
    Expired,
    Listing,
    Missing,
    Object,
    Resource,
    Unreachable,
)

POLICIES = Resource("steersman.dev", "v1alpha1", "routingpolicies")


@dataclass
class FakeKubernetes:
    """Implements `Watchable` and `TokenReviewer` of `steersman.runtime.kubernetes.api`; its knobs are plain attributes.

    Attributes:
        trouble: What every call meets, watches that are open included, until it is None again.
        asked: What it was asked, in order: `list`, or `watch` and the version.
        users: Whose a token is.
    """

    resource: Resource = POLICIES
    namespace: str = "models"
    trouble: ApiError | None = None
    asked: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    _objects: dict[str, Object] = field(default_factory=dict)
    _history: list[Event] = field(default_factory=list)
    _version: int = 1000
    _oldest: int = 1000
    _ended: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def objects(self) -> Mapping[str, Object]:
        """All objects, by name."""
        return self._objects

    def has(self, name: str) -> bool:
        """Whether there is an object of this name."""
        return name in self._objects

    def put(self, name: str, spec: Mapping[str, Any]) -> Object:
        """Make or change an object that has a spec."""
        return self.put_content(name, {"metadata": {"name": name}, "spec": spec})

    def put_content(self, name: str, content: Mapping[str, Any]) -> Object:
        """Make or change any object."""
        before = self._objects.get(name)
        change = Change.MODIFIED if before else Change.ADDED
        self._version += 1
        self._objects[name] = Object(
            self.namespace,
            name,
            before.uid if before else f"uid-{self._version}",
            before.generation + 1 if before else 1,
            str(self._version),
            content,
        )
        self._tell(Event(change, self._objects[name]))
        return self._objects[name]

    def remove(self, name: str) -> None:
        """Delete an object."""
        self._version += 1
        gone = self._objects.pop(name)
        self._tell(Event(Change.DELETED, _at(gone, self._version)))

    def bookmark(self) -> None:
        """Let something happen elsewhere, and tell of nothing but the new version."""
        self._version += 1
        self._tell(
            Event(Change.BOOKMARK, _at(Object(self.namespace, "", "", 0, "", {}), self._version)),
        )

    def forget(self) -> None:
        """Remember no version but the present one."""
        self._oldest = self._version

    def end_watches(self) -> None:
        """End every watch that is open, as the API server does after a while."""
        self._ended += 1
        self._news()

    def fail(self, trouble: ApiError | None) -> None:
        """Have every call meet this from now on."""
        self.trouble = trouble
        self._news()

    async def until_asked(self, times: int) -> None:
        """Wait until it was asked so often."""
        async with asyncio.timeout(5):
            while len(self.asked) < times:
                await self._changed.wait()

    async def list(self, resource: Resource, namespace: str) -> Listing:
        """See `Watchable`."""
        self._ask("list", resource)
        return Listing(
            tuple(each for each in self._objects.values() if _selected(each, resource, namespace)),
            str(self._version),
        )

    async def watch(self, resource: Resource, namespace: str, *, version: str) -> AsyncGenerator[Event, None]:
        """See `Watchable`."""
        self._ask(f"watch {version}", resource)
        if int(version) < self._oldest:
            raise Expired(f"410: too old resource version: {version} ({self._oldest})")
        last, ended = int(version), self._ended
        while self._ended == ended:
            changed = self._changed
            self._check()
            for event in [each for each in self._history if int(each.object.version) > last]:
                last = int(event.object.version)
                if _selected(event.object, resource, namespace):
                    yield event
            await changed.wait()

    async def review(self, token: str, *, audience: str) -> str | None:
        """See `TokenReviewer`."""
        self.asked.append(f"review for {audience}")
        self._check()
        return self.users.get(token)

    def _ask(self, what: str, resource: Resource) -> None:
        self.asked.append(what)
        self._news()
        self._check()
        if replace(resource, name="") != self.resource:
            raise Missing("404: the server could not find the requested resource")

    def _check(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _tell(self, event: Event) -> None:
        self._history.append(event)
        self._news()

    def _news(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _selected(each: Object, resource: Resource, namespace: str) -> bool:
    """Whether an object is one of those that are asked for; a bookmark, which has no name, is for all."""
    return each.namespace == namespace and (not resource.name or each.name in {"", resource.name})


def _at(what: Object, version: int) -> Object:
    return Object(what.namespace, what.name, what.uid, what.generation, str(version), what.content)


GONE = Unreachable("nobody answers")
"""What a call meets when the API server is away."""
