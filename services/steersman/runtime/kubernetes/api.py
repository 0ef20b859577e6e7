"""What Steersman needs of the Kubernetes API: values, errors and protocols.

Pure: the library that speaks to the API server is known to `client` alone.

    ApiError
    ├── Unreachable   no answer, not in time, or one that broke off
    └── Rejected      the API server answered with an error
        ├── Missing   404: there is no such object, or no such resource
        ├── Conflict  409: it exists already, or has changed since it was read
        └── Expired   410: what is asked for is older than what the API server remembers
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol


class ApiError(Exception):
    """The Kubernetes API did not do what it was asked."""

    reason: ClassVar[str] = "ERROR"
    """One word for metrics."""


class Unreachable(ApiError):
    """There was no answer, not in time, or one that broke off."""

    reason = "UNREACHABLE"


class Rejected(ApiError):
    """The API server answered with an error."""

    reason = "REJECTED"


class Missing(Rejected):
    """There is no such object, or no such resource."""

    reason = "MISSING"


class Conflict(Rejected):
    """It exists already, or has changed since it was read."""

    reason = "CONFLICT"


class Expired(Rejected):
    """What is asked for is older than what the API server remembers; a new list is needed."""

    reason = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API, as its URL names it; all that Steersman reads and writes are namespaced."""

    group: str
    version: str
    plural: str
    name: str = ""
    """Only the object of this name is listed and watched, which needs no right to see the others; all where empty."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object, as the API server stores it."""

    namespace: str
    name: str
    uid: str
    generation: int
    """Rises when the spec changes; 0 for resources that do not count."""
    version: str
    """Its `resourceVersion`."""
    content: Mapping[str, Any]
    """All of it, as JSON."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a resource in a namespace, at one point in time."""

    objects: tuple[Object, ...]
    version: str
    """Where a watch goes on."""


class Change(Enum):
    """What has happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """Nothing; only the version from which a watch may go on is newer."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change, and the object after it; before it where it was deleted."""

    change: Change
    object: Object


class Watchable(Protocol):
    """What a reflector reads from."""

    async def list(self, resource: Resource, namespace: str) -> Listing:
        """All objects now.

        Raises:
            ApiError: They cannot be had.
        """
        ...

    def watch(self, resource: Resource, namespace: str, *, version: str) -> AsyncGenerator[Event, None]:
        """All changes after a version; ends after a minute or so, to be resumed from the last version seen.

        Raises:
            ApiError: It has broken off; Expired where the version is too old.
        """
        ...


class TokenReviewer(Protocol):
    """Knows the tokens of ServiceAccounts."""

    async def review(self, token: str, *, audience: str) -> str | None:
        """Whose token it is, as `system:serviceaccount:NAMESPACE:NAME`; None where it is not valid for the audience.

        Raises:
            ApiError: Nobody says.
        """
        ...


class Writable(Protocol):
    """Reading and writing one object."""

    async def read(self, resource: Resource, namespace: str, name: str) -> Object:
        """The object of this name.

        Raises:
            ApiError: It cannot be had; Missing where there is none.
        """
        ...

    async def create(self, resource: Resource, namespace: str, content: Mapping[str, Any]) -> Object:
        """Make an object.

        Raises:
            ApiError: It was not made; Conflict where there is one of its name.
        """
        ...

    async def replace(self, resource: Resource, namespace: str, content: Mapping[str, Any]) -> Object:
        """Put another content in the place of an object's.

        Raises:
            ApiError: It was not replaced; Conflict where it has another `resourceVersion` than the content says.
        """
        ...

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any]
    ) -> Object:
        """Merge into an object's status (RFC 7386: a null removes, a list is replaced whole).

        Raises:
            ApiError: It was not changed.
        """
        ...
