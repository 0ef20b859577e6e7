"""What an engine means when it does not answer: its HTTP status, or the error object in its stream.

The engine's own words reach a caller only where the caller caused the error (4xx). A 401 or 403 is about our key, not
about the caller's, and its text may quote the key, so that one is not passed on.
"""

from __future__ import annotations

import math
from typing import Final

import orjson

from steersman.runtime.errors import Error, Overloaded, Refused, Unavailable

UNREACHABLE: Final = "ENGINE_UNREACHABLE"
"""No connection, or none that lasted until the answer began."""
TIMEOUT: Final = "ENGINE_TIMEOUT"
"""The answer did not begin in time."""
STALLED: Final = "ENGINE_STALLED"
"""The answer began and then nothing came for too long."""
BROKE_OFF: Final = "ENGINE_BROKE_OFF"
"""The answer ended before it was complete."""
GARBAGE: Final = "ENGINE_GARBAGE"
"""What came is no answer of a chat completion."""
FAILED: Final = "ENGINE_FAILED"
"""The engine reported an error of its own."""
OVERLOADED: Final = "ENGINE_OVERLOADED"
"""The engine has no room for the request."""
UNAUTHORIZED: Final = "ENGINE_UNAUTHORIZED"
"""The engine does not accept our key."""

REASONS: Final = (
    UNREACHABLE,
    TIMEOUT,
    STALLED,
    BROKE_OFF,
    GARBAGE,
    FAILED,
    OVERLOADED,
    UNAUTHORIZED,
    "ENGINE_REFUSED",
)
"""Every reason that an error of an engine can have."""

_MAX_RETRY_AFTER: Final = 3600.0
_OUR_KEY: Final = frozenset({401, 403, 407})


def from_status(status: int, body: bytes, retry_after: str | None) -> Error:
    """What a response other than 200 means.

    Args:
        status: Its HTTP status.
        body: What came of its body, bounded by the reader.
        retry_after: Its `Retry-After` header.
    """
    wait = _seconds(retry_after)
    if status in _OUR_KEY:
        return Unavailable("the engine does not accept this service's key", reason=UNAUTHORIZED)
    if status == 429:  # noqa: PLR2004 - HTTP's Too Many Requests
        return Overloaded("the engine has no room", reason=OVERLOADED, retry_after_seconds=wait)
    if status == 408 or status >= 500:  # noqa: PLR2004 - HTTP's Request Timeout, and server errors
        return Unavailable(f"the engine failed ({status})", reason=FAILED, retry_after_seconds=wait)
    if status >= 400:  # noqa: PLR2004 - HTTP's client errors
        return Refused(f"the engine refused the request ({status})", status=status, body=body)
    return Unavailable(f"the engine answered with status {status}", reason=GARBAGE)


def in_payload(payload: bytes) -> Error | None:
    """The error that a chunk, or a whole body with status 200, reports instead of an answer.

    Args:
        payload: JSON, most likely. That it is an error is rare, so it is parsed only where the word is in it.
    """
    if b'"error"' not in payload:
        return None
    try:
        parsed = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return Unavailable("the engine sent something that is not JSON", reason=GARBAGE)
    if not isinstance(parsed, dict):
        return None
    error = parsed.get("error") or (parsed if parsed.get("object") == "error" else None)
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 600:  # noqa: PLR2004 - HTTP's errors
        return from_status(code, payload, None)
    return Unavailable("the engine failed", reason=FAILED)


def _seconds(retry_after: str | None) -> float:
    """Seconds of a `Retry-After`; its other form, a date, is left to the default of one second."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return 1.0
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER) if math.isfinite(seconds) else 1.0
