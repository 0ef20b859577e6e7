"""Bad input over gRPC: INVALID_ARGUMENT that names the field, nothing crashed, and the next request unharmed."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from fakes.engine import FakeEngine
from fixtures.callers import PROMPT, Caller, body, calling, conversation, failure, metric, responses
from fixtures.router_process import Router
from steersman.api.v1 import chat_pb2, router_service_pb2 as pb

SERVICE = "/steersman.api.v1.RouterService"


def message(role: int, content: str) -> dict[str, Any]:
    said = chat_pb2.ChatMessage(content=content)
    said.role = role  # type: ignore[assignment]  # a role from the future is a number too
    return {"conversation": chat_pb2.Conversation(messages=[said])}


INPUTS: list[Any] = [
    pytest.param({}, "input", id="nothing"),
    pytest.param({"conversation": chat_pb2.Conversation()}, "messages", id="empty conversation"),
    pytest.param(message(0, "hi"), "conversation.messages[0].role", id="no role"),
    pytest.param(message(99, "hi"), "conversation.messages[0].role", id="role from the future"),
    pytest.param({"conversation": conversation("")}, "messages", id="empty text"),
    pytest.param({"conversation": conversation(" \n ")}, "messages", id="blank text"),
    pytest.param({"conversation": conversation("a\0b")}, "messages[0].content", id="NUL"),
    pytest.param({"conversation": conversation(*["hi"] * 10_000)}, "messages", id="10,000 messages"),
    pytest.param({"conversation": conversation("word " * 100_000)}, "messages", id="enormous text"),
    pytest.param({"conversation": conversation(PROMPT), "model": "nobody"}, "model", id="unknown model"),
    pytest.param({"conversation": conversation(PROMPT), "threshold": math.nan}, "threshold", id="NaN"),
    pytest.param({"conversation": conversation(PROMPT), "threshold": -math.inf}, "threshold", id="-infinity"),
    pytest.param({"conversation": conversation(PROMPT), "threshold": 1.01}, "threshold", id="over 1"),
    pytest.param({"conversation": conversation(PROMPT), "threshold": -1e-9}, "threshold", id="under 0"),
    pytest.param({"openai_body": b""}, "", id="empty body"),
    pytest.param({"openai_body": b"\xff\xfe"}, "", id="body not UTF-8"),
    pytest.param({"openai_body": b"{"}, "", id="half a JSON"),
    pytest.param({"openai_body": b"[" * 100_000}, "", id="deep nesting"),
    pytest.param({"openai_body": b"{}"}, "messages", id="body without messages"),
    pytest.param({"openai_body": body(model=3)}, "model", id="model a number"),
    pytest.param({"openai_body": body(stream="x")}, "stream", id="stream a string"),
    pytest.param({"openai_body": body(max_tokens=0)}, "max_tokens", id="no tokens"),
]
METHODS = {"Route": pb.RouteRequest, "Chat": pb.ChatRequest, "Complete": pb.CompleteRequest}


@pytest.fixture
async def caller(router: Router, engines: dict[str, FakeEngine]) -> AsyncIterator[Caller]:
    """A caller whose next request, on the same connection, is answered after all."""
    async with calling(router.grpc) as caller:
        yield caller
        assert (await caller.complete()).text == "Hello there!"
    assert sum(len(engine.seen) for engine in engines.values()) == 1, "nothing else has come through"
    assert not await metric(router.metrics, "steersman_rpcs_total", code="INTERNAL")
    assert b"unforeseen" not in router.process.log.read_bytes()


async def failing(caller: Caller, method: str, request: Message, *, seconds: float = 10) -> Any:
    call = getattr(caller.stub, method)(request, timeout=seconds)
    return await failure(responses(call) if method == "Chat" else call)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("fields", "named"), INPUTS)
async def test_a_malformed_request_is_an_invalid_argument_that_names_the_field(
    caller: Caller, *, method: str, fields: dict[str, Any], named: str
) -> None:
    error = await failing(caller, method, METHODS[method](**fields))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.fields == (named,)
    assert error.domain == "steersman.dev"
    assert error.reason in {"INVALID_REQUEST", "NOT_JSON", "UNKNOWN_MODEL", "CAPABILITY"}
    assert len(error.message) < 500


@pytest.mark.parametrize("max_tokens", [0, -1, -(2**31)])
async def test_an_answer_without_tokens_is_refused(caller: Caller, max_tokens: int) -> None:
    options = chat_pb2.GenerationOptions(max_tokens=max_tokens)
    request = pb.CompleteRequest(conversation=conversation(PROMPT), options=options)
    error = await failing(caller, "Complete", request)
    assert (error.code, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("options.max_tokens",))


@pytest.mark.parametrize("method", METHODS)
async def test_a_deadline_in_the_past_is_told_as_such(caller: Caller, method: str) -> None:
    request = METHODS[method](conversation=conversation(PROMPT))
    for seconds in (-(10**6), -1):
        error = await failing(caller, method, request, seconds=seconds)
        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("method", METHODS)
async def test_a_message_over_the_limit_is_resource_exhausted(caller: Caller, method: str) -> None:
    error = await failing(caller, method, METHODS[method](conversation=conversation("x" * (9 << 20))))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x00"])
async def test_bytes_that_are_no_message_are_refused(caller: Caller, data: bytes) -> None:
    error = await failure(caller.raw(f"{SERVICE}/Route", data))
    assert (error.code, error.domain) == (grpc.StatusCode.INVALID_ARGUMENT, "steersman.dev")


async def test_text_that_is_not_utf8_in_a_message_is_refused(caller: Caller) -> None:
    good = pb.RouteRequest(conversation=conversation("AAAA")).SerializeToString()
    error = await failure(caller.raw(f"{SERVICE}/Route", good.replace(b"AAAA", b"\xff\xfe\xfd\xfc")))
    assert (error.code, error.domain) == (grpc.StatusCode.INVALID_ARGUMENT, "steersman.dev")


async def test_unknown_fields_of_a_message_from_the_future_are_ignored(caller: Caller) -> None:
    future = pb.RouteRequest(conversation=conversation(PROMPT)).SerializeToString() + b"\xf8\x3f\x01"
    response = await caller.raw(f"{SERVICE}/Route", future)
    assert pb.RouteResponse.FromString(response).decision.tier


async def test_headers_that_make_no_sense_are_ignored(caller: Caller) -> None:
    for key, value in [
        ("traceparent", "00-zz"),
        ("traceparent", "x" * 2000),
        ("baggage", "=,;="),
        ("x-bin", b"\xff"),
    ]:
        request = pb.RouteRequest(conversation=conversation(PROMPT))
        response = await caller.stub.Route(request, timeout=5, metadata=((key, value),))
        assert response.decision.tier
