from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, strategies as st

from steersman.runtime import errors, rpc_errors
from steersman.runtime.errors import Code, Error


def every_class(of: type[Error] = Error) -> list[type[Error]]:
    return [of, *(each for child in of.__subclasses__() for each in every_class(child))]


EXAMPLES: list[Error] = [
    errors.InvalidRequest("messages[2].content", "is empty"),
    errors.UnknownModel("model", "names no tier"),
    errors.Unauthenticated("who are you?"),
    errors.Forbidden("not you", reason="NOT_YOURS"),
    errors.NotFound("nothing there", reason="DECISION_NOT_FOUND"),
    errors.TooLarge("too much"),
    errors.TooSlow("too late to begin with"),
    errors.Overloaded("full", reason="QUEUE_FULL", retry_after_seconds=2.5),
    errors.Unavailable("away", reason="ENGINE_UNREACHABLE", retry_after_seconds=7),
    errors.DeadlineExceeded("too late"),
    errors.Refused("no", status=422, body=b'{"error": "no"}'),
    errors.BrokenOff("broke", reason="ENGINE_STALLED"),
]


def over_the_wire(error: Error) -> grpc.aio.AioRpcError:
    """A status as the caller's side of gRPC sees it."""
    status = rpc_errors.to_status(error)
    metadata = grpc.aio.Metadata(*(status.trailing_metadata or ()))
    return grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), metadata, status.details)


def test_every_code_has_a_status_in_both_protocols() -> None:
    assert set(errors.HTTP_STATUS) == set(Code)
    for kind in every_class():
        assert rpc_errors._STATUS[kind.code] is not grpc.StatusCode.OK


def test_every_error_of_the_tree_has_an_example_here() -> None:
    abstract = {Error, errors._Temporary}
    assert {type(example) for example in EXAMPLES} == set(every_class()) - abstract


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_reasons_are_constants_by_googles_rules(error: Error) -> None:
    assert error.reason.replace("_", "").isupper()
    assert len(error.reason) <= 63


@pytest.mark.parametrize(
    "error",
    [example for example in EXAMPLES if not isinstance(example, errors.UnknownModel | errors.TooSlow)],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_back_over_the_wire_as_what_it_was(error: Error) -> None:
    back = rpc_errors.from_rpc_error(over_the_wire(error))
    assert type(back) is type(error)
    assert back.reason == error.reason
    assert back.retry_after_seconds == error.retry_after_seconds
    assert back.http_status == error.http_status
    if isinstance(error, errors.Refused):
        assert isinstance(back, errors.Refused)
        assert back.body == error.body


@given(st.binary(max_size=20_000))
def test_an_engines_words_are_cut_rather_than_lost(body: bytes) -> None:
    wire = over_the_wire(errors.Refused("no", status=400, body=body))
    assert sum(len(key) + len(value) for key, value in wire.trailing_metadata()) < 16_000
    back = rpc_errors.from_rpc_error(wire)
    assert isinstance(back, errors.Refused)
    assert back.body == body[:4096].decode("utf-8", "replace").encode()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.INTERNAL, errors.Unavailable),
        (grpc.StatusCode.UNKNOWN, errors.Unavailable),
        (grpc.StatusCode.CANCELLED, errors.Unavailable),
        (grpc.StatusCode.UNIMPLEMENTED, errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.ABORTED, errors.BrokenOff),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidRequest),
    ],
)
def test_a_status_of_grpcs_own_becomes_the_nearest_error(code: grpc.StatusCode, kind: type[Error]) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "connection lost")
    assert type(rpc_errors.from_rpc_error(bare)) is kind


def test_a_violation_names_its_field() -> None:
    error = errors.InvalidRequest("messages[0].role", "is not known")
    assert error.violations == (errors.Violation("messages[0].role", "is not known"),)
    assert str(error) == "messages[0].role: is not known"
    assert str(errors.InvalidRequest("", "is empty")) == "is empty"


def test_only_what_may_pass_says_when_to_come_back() -> None:
    for error in EXAMPLES:
        temporary = isinstance(error, errors.Overloaded | errors.Unavailable)
        assert (error.retry_after_seconds is not None) is temporary


def detailed(content: bytes) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata((rpc_errors.DETAILS_KEY, content))
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), metadata, "away")


def with_details(*details: Message) -> grpc.aio.AioRpcError:
    status = status_pb2.Status(code=14, message="away")
    for detail in details:
        status.details.add().Pack(detail)
    return detailed(status.SerializeToString())


def test_details_that_are_none_leave_the_code() -> None:
    assert type(rpc_errors.from_rpc_error(detailed(b"\xff" * 20))) is errors.Unavailable


@pytest.mark.parametrize("status", ["", "x", "200", "99999", "-1", "\u0663\u0663\u0663"])
def test_a_status_that_no_engine_refuses_with_is_no_refusal(status: str) -> None:
    info = error_details_pb2.ErrorInfo(
        reason="ODD", domain="steersman.dev", metadata={"engine_status": status}
    )
    assert type(rpc_errors.from_rpc_error(with_details(info))) is errors.Unavailable


@pytest.mark.parametrize(("seconds", "read"), [(-5, 1.0), (2**40, 3600.0), (7, 7.0)])
def test_a_time_to_come_back_is_one_that_can_be_waited_for(seconds: int, read: float) -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds))
    assert rpc_errors.from_rpc_error(with_details(retry)).retry_after_seconds == read
