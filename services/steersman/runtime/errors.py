"""Everything that Steersman tells a caller went wrong, as one tree.

    errors.Error
    ├── InvalidRequest      the request is malformed; says which field
    │   └── UnknownModel    it names no policy and no tier
    ├── Unauthenticated     nobody knows the caller
    ├── Forbidden           the caller is known, and may not
    ├── NotFound            there is nothing of this id that the caller may see
    ├── TooLarge            it is over a documented limit
    ├── TooSlow             its body does not come in time
    ├── Overloaded          refused for now; says when to come back
    ├── Unavailable         what would answer cannot be reached
    ├── DeadlineExceeded    the caller's or an attempt's time ran out
    ├── Refused             the engine itself said no; its words are passed on
    └── BrokenOff           an answer that had begun cannot be finished

Pure: the gRPC and HTTP forms of these errors are made at the edges, from the
table in this module, so that both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Final

DOMAIN = "steersman.dev"
"""The `domain` of every google.rpc.ErrorInfo."""


class Code(Enum):
    """What kind of error it is; the edges turn it into their protocol's own."""

    INVALID_ARGUMENT = auto()
    UNAUTHENTICATED = auto()
    PERMISSION_DENIED = auto()
    NOT_FOUND = auto()
    TOO_LARGE = auto()
    TOO_SLOW = auto()
    RESOURCE_EXHAUSTED = auto()
    UNAVAILABLE = auto()
    DEADLINE_EXCEEDED = auto()
    FAILED_PRECONDITION = auto()
    ABORTED = auto()
    INTERNAL = auto()


HTTP_STATUS: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.TOO_LARGE: 413,
    Code.TOO_SLOW: 408,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 502,
    Code.INTERNAL: 500,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of a request."""

    field: str
    """Path of the field, as the caller wrote it: `messages[2].content`."""
    description: str


class Error(Exception):
    """Something that a caller is told, in words meant for the caller."""

    code: ClassVar[Code] = Code.INTERNAL
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason

    @property
    def http_status(self) -> int:
        """Status of the HTTP response."""
        return HTTP_STATUS[self.code]

    @property
    def retry_after_seconds(self) -> float | None:
        """When it is worth trying again, or None when it is not."""
        return None


class InvalidRequest(Error):
    """The request is malformed."""

    code = Code.INVALID_ARGUMENT
    default_reason = "INVALID_REQUEST"

    def __init__(self, field: str, description: str, *, reason: str | None = None) -> None:
        super().__init__(f"{field}: {description}" if field else description, reason=reason)
        self.violations = (Violation(field, description),)


class UnknownModel(InvalidRequest):
    """The request names neither a policy nor a tier."""

    default_reason = "UNKNOWN_MODEL"


class Unauthenticated(Error):
    """The caller is not known."""

    code = Code.UNAUTHENTICATED
    default_reason = "INVALID_API_KEY"


class Forbidden(Error):
    """The caller is known, and may not do this."""

    code = Code.PERMISSION_DENIED
    default_reason = "FORBIDDEN"


class NotFound(Error):
    """There is nothing of this id, or nothing that the caller may know of."""

    code = Code.NOT_FOUND
    default_reason = "NOT_FOUND"


class TooLarge(Error):
    """The request is over a documented limit."""

    code = Code.TOO_LARGE
    default_reason = "REQUEST_TOO_LARGE"


class TooSlow(Error):
    """The request does not come in time."""

    code = Code.TOO_SLOW
    default_reason = "REQUEST_TIMEOUT"


class _Temporary(Error):
    """An error that may pass."""

    def __init__(self, message: str, *, reason: str | None = None, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, reason=reason)
        self._retry_after_seconds = retry_after_seconds

    @property
    def retry_after_seconds(self) -> float | None:
        """When it is worth trying again."""
        return self._retry_after_seconds


class Overloaded(_Temporary):
    """Refused for now, because something is full."""

    code = Code.RESOURCE_EXHAUSTED
    default_reason = "OVERLOADED"


class Unavailable(_Temporary):
    """What would answer cannot be reached."""

    code = Code.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class DeadlineExceeded(Error):
    """Time ran out."""

    code = Code.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class Refused(Error):
    """The engine answered with an error of its own, which is passed on unchanged."""

    code = Code.FAILED_PRECONDITION
    default_reason = "ENGINE_REFUSED"

    def __init__(self, message: str, *, status: int, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status of the engine's response, 400 to 599."""
        self.body = body
        """Its body, as it came."""

    @property
    def http_status(self) -> int:
        """The engine's own status."""
        return self.status


class BrokenOff(Error):
    """An answer that had begun cannot be finished."""

    code = Code.ABORTED
    default_reason = "ENGINE_BROKE_OFF"
