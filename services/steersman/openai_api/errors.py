"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from typing import Final

import orjson

from steersman.runtime.errors import Code, Error, InvalidRequest, Refused, UnknownModel

_TYPES: Final = {
    Code.INVALID_ARGUMENT: "invalid_request_error",
    Code.UNAUTHENTICATED: "invalid_request_error",
    Code.PERMISSION_DENIED: "invalid_request_error",
    Code.NOT_FOUND: "invalid_request_error",
    Code.TOO_LARGE: "invalid_request_error",
    Code.TOO_SLOW: "invalid_request_error",
    Code.RESOURCE_EXHAUSTED: "rate_limit_error",
}


def to_json(error: Error) -> bytes:
    """The body of an error response; the engine's own body where it is the engine's error."""
    if isinstance(error, Refused) and _is_object(error.body):
        return error.body
    return orjson.dumps({"error": to_object(error)})


def _is_object(body: bytes) -> bool:
    """Whether an engine's body can be passed on as it came; one that was cut on its way cannot."""
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def to_object(error: Error) -> dict[str, str | None]:
    """The error object: OpenAI's type, the field as `param`, and our reason as `code`."""
    violations = error.violations if isinstance(error, InvalidRequest) else ()
    return {
        "message": error.message,
        "type": _TYPES.get(error.code, "server_error"),
        "param": violations[0].field or None if violations else None,
        "code": "model_not_found" if isinstance(error, UnknownModel) else error.reason.lower(),
    }
