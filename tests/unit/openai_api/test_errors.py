from __future__ import annotations

from collections.abc import Iterator

import grpc
import orjson
import pytest
from google.rpc import error_details_pb2, status_pb2

from steersman.openai_api import errors as openai_errors
from steersman.runtime import rpc_errors
from steersman.runtime.errors import (
    DOMAIN,
    BrokenOff,
    Code,
    DeadlineExceeded,
    Error,
    InvalidRequest,
    Overloaded,
    Refused,
    TooLarge,
    Unavailable,
    UnknownModel,
)

ENGINES_BODY = b'{"error": {"message": "max_tokens is too large", "code": 400}}'

EVERY_ERROR = [
    pytest.param(InvalidRequest("messages[0].role", "must be a known role"), id="invalid"),
    pytest.param(UnknownModel("model", "no policy or tier has this name"), id="unknown model"),
    pytest.param(TooLarge("the body is too large"), id="too large"),
    pytest.param(Overloaded("no room", reason="QUEUE_FULL", retry_after_seconds=2.5), id="overloaded"),
    pytest.param(Unavailable("nobody there", retry_after_seconds=0.25), id="unavailable"),
    pytest.param(DeadlineExceeded("no time left"), id="deadline"),
    pytest.param(Refused("the engine refused (400)", status=400, body=ENGINES_BODY), id="refused"),
    pytest.param(BrokenOff("it died", reason="ENGINE_STALLED"), id="broken off"),
    pytest.param(Error("internal error"), id="internal"),
]


def as_rpc_error(error: Error) -> grpc.aio.AioRpcError:
    """What a caller's gRPC library makes of an error's status."""
    status = rpc_errors.to_status(error)
    return grpc.aio.AioRpcError(
        status.code,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(*(status.trailing_metadata or ())),
        details=status.details,
    )


def details(error: Error) -> Iterator[str]:
    """Names of the details of an error's status."""
    for key, value in rpc_errors.to_status(error).trailing_metadata:
        assert key == "grpc-status-details-bin"
        yield from (
            each.TypeName().rpartition(".")[2] for each in status_pb2.Status.FromString(value).details
        )


def openai(error: Error) -> dict[str, str | None]:
    body: dict[str, dict[str, str | None]] = orjson.loads(openai_errors.to_json(error))
    return body["error"]


@pytest.mark.parametrize("error", EVERY_ERROR[:-1])
def test_an_error_comes_through_grpc_as_what_it_was(error: Error) -> None:
    back = rpc_errors.from_rpc_error(as_rpc_error(error))
    kind = InvalidRequest if isinstance(error, InvalidRequest) else type(error)
    assert type(back) is kind
    assert (back.code, back.reason) == (error.code, error.reason)
    assert back.message == error.message
    assert back.retry_after_seconds == error.retry_after_seconds


def test_the_engines_own_words_come_through_grpc() -> None:
    back = rpc_errors.from_rpc_error(as_rpc_error(Refused("no", status=422, body=ENGINES_BODY)))
    assert isinstance(back, Refused)
    assert (back.status, back.body) == (422, ENGINES_BODY)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.UNKNOWN, Unavailable),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.UNIMPLEMENTED, Unavailable),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
    ],
)
def test_what_grpc_itself_says_becomes_the_nearest_error(code: grpc.StatusCode, kind: type[Error]) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="socket closed")
    assert type(rpc_errors.from_rpc_error(bare)) is kind


def test_a_message_that_grpc_itself_finds_too_large_is_too_large() -> None:
    bare = grpc.aio.AioRpcError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        details="Received message larger than max (9437184 vs. 8388608)",
    )
    assert type(rpc_errors.from_rpc_error(bare)) is TooLarge


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_every_error_says_its_reason_in_our_domain(error: Error) -> None:
    assert "ErrorInfo" in set(details(error))
    (raw,) = [value for _, value in rpc_errors.to_status(error).trailing_metadata]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
    assert (info.reason, info.domain) == (error.reason, DOMAIN)


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_what_may_pass_says_when_to_come_back(error: Error) -> None:
    assert ("RetryInfo" in set(details(error))) == isinstance(error, Overloaded | Unavailable)


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_what_is_malformed_names_its_field(error: Error) -> None:
    assert ("BadRequest" in set(details(error))) == isinstance(error, InvalidRequest)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.INVALID_ARGUMENT, 400),
        (Code.TOO_LARGE, 413),
        (Code.TOO_SLOW, 408),
        (Code.RESOURCE_EXHAUSTED, 429),
        (Code.UNAVAILABLE, 503),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.ABORTED, 502),
        (Code.INTERNAL, 500),
    ],
)
def test_each_kind_of_error_has_its_http_status(code: Code, status: int) -> None:
    class Example(Error):
        pass

    Example.code = code
    assert Example("x").http_status == status


def test_openai_is_told_type_field_and_reason() -> None:
    assert openai(InvalidRequest("messages[0].role", "must be known")) == {
        "message": "messages[0].role: must be known",
        "type": "invalid_request_error",
        "param": "messages[0].role",
        "code": "invalid_request",
    }


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (UnknownModel("model", "no such"), "invalid_request_error", "model_not_found"),
        (TooLarge("x"), "invalid_request_error", "request_too_large"),
        (Overloaded("x", reason="QUEUE_FULL"), "rate_limit_error", "queue_full"),
        (Unavailable("x"), "server_error", "unavailable"),
        (DeadlineExceeded("x"), "server_error", "deadline_exceeded"),
        (BrokenOff("x", reason="ENGINE_STALLED"), "server_error", "engine_stalled"),
        (Error("internal error"), "server_error", "internal"),
    ],
)
def test_openai_is_told_every_error_in_its_own_terms(error: Error, kind: str, code: str) -> None:
    told = openai(error)
    assert (told["type"], told["code"]) == (kind, code)
    assert told["message"] == error.message


def test_an_error_about_no_field_names_none() -> None:
    assert openai(InvalidRequest("", "the body is not JSON"))["param"] is None


def test_the_engines_own_error_is_passed_on_as_it_came() -> None:
    assert openai_errors.to_json(Refused("no", status=400, body=ENGINES_BODY)) == ENGINES_BODY


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b"[]", id="an array"),
        pytest.param(ENGINES_BODY[:-5], id="cut off"),
        pytest.param(b"{\xff}", id="not UTF-8"),
    ],
)
def test_an_engines_error_that_is_no_json_object_is_told_in_our_words(body: bytes) -> None:
    told = openai(Refused("the engine refused the request (400)", status=400, body=body))
    assert told["message"] == "the engine refused the request (400)"
    assert told["code"] == "engine_refused"
