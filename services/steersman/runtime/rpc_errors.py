"""The error tree on gRPC: rich statuses out, and the same tree in again from a callee's status.

Details follow google.rpc (error_details.proto): ErrorInfo always, BadRequest for a malformed request,
RetryInfo for what may pass.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from steersman.runtime.errors import (
    DOMAIN,
    BrokenOff,
    Code,
    DeadlineExceeded,
    Error,
    Forbidden,
    InvalidRequest,
    NotFound,
    Overloaded,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

DETAILS_KEY: Final = "grpc-status-details-bin"

_STATUS: Final = {
    Code.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.TOO_SLOW: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Code.ABORTED: grpc.StatusCode.ABORTED,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
}

_FINAL: Final[dict[grpc.StatusCode, type[Error]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.ABORTED: BrokenOff,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.NOT_FOUND: NotFound,
}

_ERROR_STATUS: Final = re.compile("[45][0-9]{2}")
_LONGEST_RETRY_SECONDS: Final = 3600.0
_ENGINE_STATUS: Final = "engine_status"
_ENGINE_BODY: Final = "engine_body"
_KEPT_REFUSALS: Final = 256
_MAX_ENGINE_BODY: Final = 4096
"""Metadata of a gRPC response is bounded (8 KiB by default), so an engine's error text is cut."""


def status_code(error: Error) -> grpc.StatusCode:
    """The gRPC status code of an error."""
    return _STATUS[error.code]


def to_status(error: Error) -> grpc.Status:
    """The rich gRPC status of an error."""
    if type(error) is Overloaded:
        return _refusal(error.message, error.reason, math.ceil(10 * (error.retry_after_seconds or 0.0)))
    return _status_of(error)


@lru_cache(_KEPT_REFUSALS)
def _refusal(message: str, reason: str, tenths: int) -> grpc.Status:
    """The status of a refusal, kept since whoever has too much to do should not make the same one again and again."""
    return _status_of(Overloaded(message, reason=reason, retry_after_seconds=tenths / 10))


def _status_of(error: Error) -> grpc.Status:
    number: int = status_code(error).value[0]
    status = status_pb2.Status(
        code=number, message=error.message, details=[_pack(each) for each in _details(error)]
    )
    return rpc_status.to_status(status)


def from_rpc_error(rpc_error: grpc.aio.AioRpcError) -> Error:
    """The error that a callee meant.

    A status that another process of Steersman made comes back as the class it was; one that gRPC made itself (a
    connection that broke, a deadline that passed) becomes the nearest class.
    """
    info, retry_after = _read_details(rpc_error)
    message = rpc_error.details() or rpc_error.code().name
    reason = info.reason or None
    if info.domain == DOMAIN and (status := _engine_status(info)) is not None:
        return Refused(message, status=status, body=info.metadata[_ENGINE_BODY].encode())
    if rpc_error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _is_too_large(info, retry_after, message):
        return TooLarge(message, reason=reason)
    if rpc_error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidRequest("", message, reason=reason)
    if (final := _FINAL.get(rpc_error.code())) is not None:
        return final(message, reason=reason)
    temporary = Overloaded if rpc_error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else Unavailable
    if info.domain != DOMAIN:  # gRPC's own words, which name addresses that are not the caller's business
        message = "the callee cannot be reached"
    return temporary(message, reason=reason, retry_after_seconds=retry_after or 1.0)


def _details(error: Error) -> list[Message]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    details: list[Message] = [info]
    if isinstance(error, Refused):
        info.metadata[_ENGINE_STATUS] = str(error.status)
        info.metadata[_ENGINE_BODY] = _cut(error.body.decode("utf-8", "replace"), _MAX_ENGINE_BODY)
    if isinstance(error, InvalidRequest):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description)
            for each in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _engine_status(info: error_details_pb2.ErrorInfo) -> int | None:
    """The HTTP status of an engine's refusal; None where it is none of an error."""
    told = info.metadata.get(_ENGINE_STATUS, "")
    return int(told) if _ERROR_STATUS.fullmatch(told) else None


def _cut(text: str, size: int) -> str:
    """The beginning of a text that takes at most `size` bytes."""
    return text.encode()[:size].decode("utf-8", "ignore")


def _is_too_large(info: error_details_pb2.ErrorInfo, retry_after: float | None, message: str) -> bool:
    """Tells the two meanings of RESOURCE_EXHAUSTED apart; gRPC's own comes without details, and only with words."""
    return retry_after is None if info.domain == DOMAIN else "larger than max" in message


def _pack(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _read_details(rpc_error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, float | None]:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for key, value in rpc_error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            with suppress(
                DecodeError
            ):  # whoever sent this is no process of ours; its code is told all the same
                for detail in status_pb2.Status.FromString(value).details:
                    _ = detail.Unpack(info) or detail.Unpack(retry)
    if not retry.HasField("retry_delay"):
        return info, None
    seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return info, min(max(seconds, 0.0), _LONGEST_RETRY_SECONDS)
