"""The gRPC edge before a router on fakes: codes and their details, streams, both forms of input, callers that leave."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import orjson
import pytest

from fakes.router import RouterOnFakes
from fakes.served import over_grpc
from fakes.upstream import DOWN, FULL, NO, chunk, completion, hello, usage_chunk
from fixtures.callers import Caller, RichError, body, calling, conversation, failure, responses, texts, until
from steersman.api.v1 import chat_pb2, decision_pb2, router_service_pb2 as pb
from steersman.runtime import rpc_errors
from steersman.runtime.errors import (
    DOMAIN,
    BrokenOff,
    DeadlineExceeded,
    Error,
    InvalidRequest,
    Refused,
    TooLarge,
)

METHODS = ["Route", "Chat", "Complete"]
ANSWERS = ["Chat", "Complete"]
CHUNKS = [chunk for piece in hello()[:3] for chunk in piece]
"""The chunks of the fakes' answer that are no usage."""


@pytest.fixture
async def caller(router: RouterOnFakes) -> AsyncIterator[Caller]:
    async with over_grpc(router) as address, calling(address) as caller:
        yield caller


def called(caller: Caller, method: str, **fields: Any) -> Any:
    """A call, about any conversation unless the fields say something else."""
    if "openai_body" not in fields:
        fields.setdefault("conversation", conversation("What is a rhumb line?"))
    request = getattr(pb, f"{method}Request")(**fields)
    return getattr(caller.stub, method)(request, timeout=10)


async def told(caller: Caller, method: str, **fields: Any) -> RichError:
    """The error of a call."""
    call = called(caller, method, **fields)
    return await failure(responses(call) if method == "Chat" else call)


async def test_route_decides_and_calls_no_tier(caller: Caller, router: RouterOnFakes) -> None:
    router.hard()
    response = await called(caller, "Route")
    assert (response.decision.tier, response.decision.policy) == ("strong", "auto")
    assert response.decision.score == pytest.approx(0.8)
    assert response.overhead.total.ToNanoseconds() > 0
    assert not router.strong.seen


async def test_a_stream_begins_with_the_decision_and_ends_with_the_summary(caller: Caller) -> None:
    stream = await responses(called(caller, "Chat", openai_body=body()))
    assert [each.HasField("decision") for each in stream] == [True, False, False, False]
    assert [each.HasField("summary") for each in stream] == [False, False, False, True]
    summary = stream[-1].summary
    assert (summary.usage.prompt_tokens, summary.usage.completion_tokens) == (7, 3)
    assert (summary.finish_reason, summary.served_model) == ("stop", "fake-model")
    assert 0 < summary.cost.usd < summary.cost.strongest_tier_usd


async def test_chunks_that_come_together_go_together(caller: Caller) -> None:
    stream = await responses(called(caller, "Chat", openai_body=body()))
    assert [list(each.openai_chunks) for each in stream] == [*hello()[:3], []]


async def test_typed_messages_are_answered_with_text(caller: Caller, router: RouterOnFakes) -> None:
    stream = await responses(called(caller, "Chat"))
    assert [each.text for each in stream] == ["Hello", " there!", "", ""]
    assert not any(each.openai_chunks for each in stream)
    router.weak.whole = completion("Aye.")
    response = await called(caller, "Complete")
    assert (response.text, response.openai_body) == ("Aye.", b"")


async def test_an_openai_body_is_answered_in_openais_form(caller: Caller, router: RouterOnFakes) -> None:
    stream = await responses(called(caller, "Chat", openai_body=body()))
    chunks = [chunk for each in stream for chunk in each.openai_chunks]
    assert (chunks, texts(chunks)) == (CHUNKS, "Hello there!")
    assert not any(each.text for each in stream)
    response = await called(caller, "Complete", openai_body=body())
    assert (response.openai_body, response.text) == (router.weak.whole, "")
    assert response.summary.usage.completion_tokens == 3


@pytest.mark.parametrize("asked", [True, False])
async def test_the_usage_is_in_the_chunks_of_who_asked_for_it(caller: Caller, *, asked: bool) -> None:
    data = body(stream_options={"include_usage": asked})
    stream = await responses(called(caller, "Chat", openai_body=data))
    chunks = [chunk for each in stream for chunk in each.openai_chunks]
    assert (usage_chunk() in chunks) == asked
    assert stream[-1].summary.usage.completion_tokens == 3


async def test_a_stream_without_a_visible_chunk_has_decision_and_summary(
    caller: Caller, router: RouterOnFakes
) -> None:
    router.weak.pieces = [[usage_chunk()]]
    (only,) = await responses(called(caller, "Chat"))
    assert (only.decision.tier, only.summary.usage.completion_tokens) == ("weak", 3)


@pytest.mark.parametrize("method", ANSWERS)
async def test_the_decision_tells_which_tier_answered_in_the_end(
    caller: Caller, router: RouterOnFakes, method: str
) -> None:
    router.hard()
    router.strong.error = DOWN
    call = called(caller, method)
    response = await (call.read() if method == "Chat" else call)
    assert (response.decision.tier, response.decision.wanted_tier) == ("weak", "strong")
    assert response.decision.reason == decision_pb2.DECISION_REASON_TIER_UNAVAILABLE


async def test_options_go_to_the_engine_under_openais_names(caller: Caller, router: RouterOnFakes) -> None:
    options = chat_pb2.GenerationOptions(max_tokens=5, temperature=0, top_p=0.5, seed=0, stop=["a", "b"])
    await called(caller, "Complete", options=options)
    await called(caller, "Complete")
    full, bare = (orjson.loads(seen.body) for seen in router.weak.seen)
    given = {"max_tokens": 5, "temperature": 0.0, "top_p": 0.5, "seed": 0, "stop": ["a", "b"]}
    assert {name: value for name, value in full.items() if name not in bare} == given


async def test_roles_go_to_the_engine_under_openais_names(caller: Caller, router: RouterOnFakes) -> None:
    said = [
        (chat_pb2.ROLE_SYSTEM, "Be brief."),
        (chat_pb2.ROLE_ASSISTANT, "Aye."),
        (chat_pb2.ROLE_USER, "So?"),
    ]
    messages = [chat_pb2.ChatMessage(role=role, content=content) for role, content in said]
    await called(caller, "Complete", conversation=chat_pb2.Conversation(messages=messages))
    sent = orjson.loads(router.weak.seen[0].body)["messages"]
    assert [each["role"] for each in sent] == ["system", "assistant", "user"]


async def test_the_model_of_the_request_goes_before_that_of_the_body(caller: Caller) -> None:
    raw = body(model="weak")
    assert (await called(caller, "Route", openai_body=raw)).decision.tier == "weak"
    assert (await called(caller, "Route", openai_body=raw, model="strong")).decision.tier == "strong"


@pytest.mark.parametrize(
    ("threshold", "tier"), [(0.0, "strong"), (0.4, "strong"), (0.6, "weak"), (1.0, "weak")]
)
async def test_a_caller_may_bring_a_threshold(caller: Caller, threshold: float, tier: str) -> None:
    decision = (await called(caller, "Route", threshold=threshold)).decision
    assert (decision.tier, list(decision.boundaries)) == (tier, [pytest.approx(threshold)])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf, -1e-9, 1.01])
async def test_a_threshold_that_is_none_is_an_invalid_argument(
    caller: Caller, router: RouterOnFakes, method: str, threshold: float
) -> None:
    error = await told(caller, method, threshold=threshold)
    assert (error.code, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("threshold",))
    assert not router.classifier.asked


INVALID: list[Any] = [
    pytest.param({"conversation": None}, "input", "INVALID_REQUEST", id="nothing"),
    pytest.param({"conversation": conversation("")}, "messages", "INVALID_REQUEST", id="no text"),
    pytest.param(
        {"conversation": chat_pb2.Conversation(messages=[chat_pb2.ChatMessage(content="hi")])},
        "conversation.messages[0].role",
        "INVALID_REQUEST",
        id="no role",
    ),
    pytest.param({"conversation": conversation(*["hi"] * 101)}, "messages", "INVALID_REQUEST", id="many"),
    pytest.param({"model": "nobody"}, "model", "UNKNOWN_MODEL", id="unknown model"),
    pytest.param({"openai_body": b"{"}, "", "NOT_JSON", id="no JSON"),
    pytest.param({"openai_body": body(stream=1)}, "stream", "INVALID_REQUEST", id="wrong type"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("fields", "named", "reason"), INVALID)
async def test_a_malformed_request_names_its_field(
    caller: Caller, *, method: str, fields: dict[str, Any], named: str, reason: str
) -> None:
    error = await told(caller, method, **fields)
    assert (error.code, error.domain) == (grpc.StatusCode.INVALID_ARGUMENT, DOMAIN)
    assert (error.fields, error.reason, error.retry_after) == ((named,), reason, None)


@pytest.mark.parametrize("method", ANSWERS)
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_p": math.inf}, "top_p"),
    ],
)
async def test_options_that_no_engine_could_follow_are_invalid_arguments(
    caller: Caller, *, method: str, options: dict[str, Any], field: str
) -> None:
    error = await told(caller, method, options=chat_pb2.GenerationOptions(**options))
    assert (error.code, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (f"options.{field}",))


ERRORS: list[Any] = [
    (InvalidRequest("tools[0]", "is odd"), "INVALID_ARGUMENT", "INVALID_REQUEST", ("tools[0]",), None),
    (TooLarge("too long"), "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE", (), None),
    (FULL, "RESOURCE_EXHAUSTED", "QUEUE_FULL", (), 4.0),
    (DOWN, "UNAVAILABLE", "ENGINE_UNREACHABLE", (), 1.0),
    (DeadlineExceeded("too late"), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", (), None),
    (NO, "FAILED_PRECONDITION", "ENGINE_REFUSED", (), None),
    (BrokenOff("it died"), "ABORTED", "ENGINE_BROKE_OFF", (), None),
    (Error("internal error"), "INTERNAL", "INTERNAL", (), None),
]


@pytest.mark.parametrize("method", ANSWERS)
@pytest.mark.parametrize(
    ("error", "code", "reason", "fields", "retry_after"),
    ERRORS,
    ids=lambda value: type(value).__name__ if isinstance(value, Error) else "",
)
async def test_an_error_has_its_code_and_its_details(
    caller: Caller,
    router: RouterOnFakes,
    *,
    method: str,
    error: Error,
    code: str,
    reason: str,
    fields: tuple[str, ...],
    retry_after: float | None,
) -> None:
    router.fail(error)
    assert await told(caller, method) == RichError(
        grpc.StatusCode[code], error.message, reason, DOMAIN, fields, retry_after
    )
    assert router.idle


async def test_what_the_engine_refuses_is_passed_on_with_its_body(
    caller: Caller, router: RouterOnFakes
) -> None:
    router.weak.error = Refused("no (422)", status=422, body=b'{"error": "too hot"}')
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await called(caller, "Complete")
    back = rpc_errors.from_rpc_error(caught.value)
    assert isinstance(back, Refused)
    assert (back.status, back.body) == (422, b'{"error": "too hot"}')


@pytest.mark.parametrize("error", [BrokenOff("it died"), DOWN])
async def test_an_error_in_the_middle_of_a_stream_comes_after_what_was_said(
    caller: Caller, router: RouterOnFakes, error: Error
) -> None:
    router.fail(error, after=2)
    call = called(caller, "Chat")
    assert [(await call.read()).text for _ in range(2)] == ["Hello", " there!"]
    ended = await failure(call.read())
    assert (ended.code, ended.reason) == (grpc.StatusCode.ABORTED, error.reason)
    assert router.idle


@pytest.mark.parametrize("method", METHODS)
async def test_an_unforeseen_failure_is_logged_and_its_text_is_not_told(
    caller: Caller, router: RouterOnFakes, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level(logging.ERROR)
    router.classifier.bug = ZeroDivisionError("a secret")
    error = await told(caller, method)
    assert (error.code, error.message, error.reason) == (
        grpc.StatusCode.INTERNAL,
        "internal error",
        "INTERNAL",
    )
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == ["a secret"]


@pytest.mark.parametrize("method", METHODS)
async def test_a_message_over_the_limit_is_resource_exhausted_and_the_next_is_unharmed(
    router: RouterOnFakes, method: str
) -> None:
    async with over_grpc(router, max_message_bytes=1000) as address, calling(address) as caller:
        error = await told(caller, method, conversation=conversation("x" * 2000))
        assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await called(caller, "Route")).decision.tier == "weak"


async def test_a_call_without_a_deadline_has_the_routers(router: RouterOnFakes) -> None:
    router.weak.hold_at = 0
    request = pb.CompleteRequest(conversation=conversation("hi"))
    async with over_grpc(router, seconds=0.05) as address, calling(address) as caller:
        error = await failure(caller.stub.Complete(request))
    assert (error.code, error.domain) == (grpc.StatusCode.DEADLINE_EXCEEDED, DOMAIN)


async def test_the_engine_is_given_what_is_left_of_the_callers_time(
    caller: Caller, router: RouterOnFakes
) -> None:
    await called(caller, "Complete")
    assert 0 < router.weak.seen[0].timeout < 10.5  # gRPC rounds a deadline up on its way


@pytest.mark.parametrize(("method", "hold_at"), [("Complete", 0), ("Chat", 0), ("Chat", 2)])
async def test_a_caller_that_leaves_ends_the_work_at_the_engine(
    caller: Caller, router: RouterOnFakes, caplog: pytest.LogCaptureFixture, *, method: str, hold_at: int
) -> None:
    router.weak.hold_at = hold_at
    call = called(caller, method)
    await router.weak.gate.until(waiting=1)
    call.cancel()
    await router.weak.gate.until(waiting=0)
    with suppress(asyncio.CancelledError):
        await call.code()
    assert router.weak.left == 1
    assert router.ledger.outcomes == ["CANCELLED"]
    assert router.idle
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_caller_that_leaves_while_it_is_scored_ends_that(
    caller: Caller, router: RouterOnFakes
) -> None:
    router.classifier.gate.close()
    call = called(caller, "Route")
    await router.classifier.gate.until(waiting=1)
    call.cancel()
    await router.classifier.gate.until(waiting=0)
    assert router.idle


async def test_a_stream_in_progress_is_finished_when_the_server_goes(router: RouterOnFakes) -> None:
    router.weak.hold_at = 2
    server = over_grpc(router)
    address = await server.__aenter__()
    async with calling(address) as caller:
        call = called(caller, "Chat")
        first = await call.read()
        await router.weak.gate.until(waiting=1)
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        async with calling(address) as late:
            assert (await told(late, "Route")).code is grpc.StatusCode.UNAVAILABLE
        router.weak.gate.open()
        rest = await responses(call)
        assert "".join(each.text for each in (first, *rest)) == "Hello there!"
        assert rest[-1].HasField("summary")
        await leaving


async def test_a_caller_that_does_not_read_its_stream_counts_as_gone(
    caller: Caller, router: RouterOnFakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steersman.runtime.interceptor.UNREAD_SECONDS", 0.2)
    router.weak.pieces = [[chunk("x" * 500_000)] for _ in range(100)]
    call = caller.chat(seconds=60)
    await call.read()

    async def closed() -> bool:
        return router.ledger.outcomes == ["CANCELLED"]

    await until(closed, seconds=5, pause=0.005)
    assert router.idle
    call.cancel()
