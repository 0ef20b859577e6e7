"""RouterService over gRPC, before the real system: decisions, answers, and what any gRPC server should offer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from fixtures.callers import (
    PROMPT,
    Caller,
    body,
    calling,
    conversation,
    failure,
    responses,
    texts,
)
from steersman.api.v1 import chat_pb2, decision_pb2, router_service_pb2 as pb
from steersman.local.system import System
from steersman.router.policy import stand_in_of

SERVICES = ["steersman.api.v1.RouterService", "steersman.api.v1.DemandService"]


@pytest.fixture
async def caller(system: System) -> AsyncIterator[Caller]:
    async with calling(system.addresses.router_grpc) as caller:
        yield caller


async def test_route_decides_by_the_score_and_explains_it(caller: Caller) -> None:
    decision = await caller.route("Prove that there are infinitely many primes.")
    (threshold,) = decision.boundaries
    assert 0 <= decision.score <= 1
    assert decision.tier == decision.wanted_tier == ("strong" if decision.score >= threshold else "weak")
    assert decision.reason == decision_pb2.DECISION_REASON_SCORE
    assert (decision.policy, decision.classifier.name, decision.classifier.version) == (
        "auto",
        "static_head",
        "1",
    )
    assert len(decision.classifier.artefact_digest) >= 32
    assert decision.id
    assert decision.policy_version
    assert 0 <= decision.novelty <= 1


async def test_the_same_query_is_scored_once_and_then_known(caller: Caller) -> None:
    text = "How many legs has a spider that was asked about only in this test?"
    first, second = await caller.route(text), await caller.route(text)
    assert first.cache == decision_pb2.CACHE_STATE_MISS
    assert second.cache == decision_pb2.CACHE_STATE_L1_HIT
    assert (first.score, first.win_probability, first.novelty, first.truncated) == (
        second.score,
        second.win_probability,
        second.novelty,
        second.truncated,
    )
    assert first.id != second.id


async def test_a_text_unlike_the_training_data_is_decided_by_the_policys_rule_and_says_so(
    caller: Caller,
) -> None:
    asked, known = await caller.route("?! ?! ?!"), await caller.route("?! ?! ?!")
    for decision in (asked, known):
        assert decision.reason == decision_pb2.DECISION_REASON_OUT_OF_DOMAIN
        assert (decision.out_of_domain, decision.novelty) == (True, 1.0)
        assert decision.HasField("score")
        tier = "strong" if stand_in_of("?! ?! ?!") >= decision.boundaries[0] else "weak"
        assert decision.tier == decision.wanted_tier == tier
    assert known.cache == decision_pb2.CACHE_STATE_L1_HIT


async def test_concurrent_questions_of_one_text_are_one(caller: Caller) -> None:
    text = "A text that twenty callers ask about in the same instant, and nobody before."
    decisions = await asyncio.gather(*(caller.route(text) for _ in range(20)))
    states = [decision.cache for decision in decisions]
    assert states.count(decision_pb2.CACHE_STATE_MISS) == 1
    assert len({decision.score for decision in decisions}) == 1


async def test_route_says_what_deciding_took(caller: Caller) -> None:
    request = pb.RouteRequest(conversation=conversation("Something that has to be classified first."))
    response = await caller.stub.Route(request, timeout=20)
    overhead = response.overhead
    stages = (overhead.admission, overhead.cache, overhead.classify, overhead.decide, overhead.dispatch)
    assert overhead.classify.ToMicroseconds() > 0
    assert abs(overhead.total.ToMicroseconds() - sum(each.ToMicroseconds() for each in stages)) <= 5


@pytest.mark.parametrize(("threshold", "tier"), [(0.0, "strong"), (1.0, "weak")])
async def test_a_caller_may_bring_a_threshold(caller: Caller, threshold: float, tier: str) -> None:
    decision = await caller.route(threshold=threshold)
    assert decision.tier == tier
    assert list(decision.boundaries) == [threshold]


@pytest.mark.parametrize("name", ["strong", "weak"])
async def test_a_caller_may_name_the_tier(caller: Caller, name: str) -> None:
    decision = await caller.route(model=name)
    assert decision.tier == name
    assert decision.reason == decision_pb2.DECISION_REASON_OVERRIDE
    assert not decision.HasField("score")
    assert decision.cache == decision_pb2.CACHE_STATE_UNSPECIFIED


async def test_the_model_of_the_request_goes_before_that_of_the_body(caller: Caller) -> None:
    raw = body(model="weak")
    assert (await caller.route(conversation=None, openai_body=raw)).tier == "weak"
    assert (await caller.route(conversation=None, openai_body=raw, model="strong")).tier == "strong"


async def test_typed_messages_are_answered_with_text(caller: Caller) -> None:
    response = await caller.complete(max_tokens=5)
    assert response.text
    assert not response.openai_body
    assert response.decision.tier in {"weak", "strong"}
    summary = response.summary
    assert summary.finish_reason == "length"
    assert summary.served_model == "SmolLM2-135M-Instruct"
    assert summary.usage.completion_tokens == 5
    assert summary.usage.prompt_tokens > 5
    assert 0 < summary.cost.usd <= summary.cost.strongest_tier_usd
    assert summary.overhead.total.ToMicroseconds() > 0
    assert summary.retries == 0


async def test_an_openai_body_is_answered_with_an_openai_body(caller: Caller) -> None:
    response = await caller.complete(openai_body=body(logprobs=True))
    assert not response.text
    answer = orjson.loads(response.openai_body)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["logprobs"]["content"]
    assert answer["usage"]["completion_tokens"] == response.summary.usage.completion_tokens == 4


async def test_options_of_typed_messages_reach_the_engine(caller: Caller) -> None:
    options = chat_pb2.GenerationOptions(max_tokens=30, temperature=0, seed=5, stop=["e"])
    response = await caller.complete(options=options)
    assert response.summary.usage.completion_tokens < 30
    assert response.summary.finish_reason == "stop"
    assert "e" not in response.text


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
async def test_a_stream_begins_with_the_decision_and_ends_with_the_summary(
    caller: Caller, *, raw: bool
) -> None:
    fields: dict[str, Any] = {"openai_body": body(max_tokens=6)} if raw else {"max_tokens": 6}
    stream = await responses(caller.chat(**fields))
    first, *_, last = stream
    assert first.decision.tier in {"weak", "strong"}
    assert [each.HasField("decision") for each in stream] == [True] + [False] * (len(stream) - 1)
    assert [each.HasField("summary") for each in stream] == [False] * (len(stream) - 1) + [True]
    assert last.summary.usage.completion_tokens == 6
    assert last.summary.finish_reason == "length"
    assert len(stream) > 3
    chunks = [chunk for each in stream for chunk in each.openai_chunks]
    if raw:
        assert texts(chunks)
        assert not any("usage" in orjson.loads(chunk) for chunk in chunks)
        assert not any(each.text for each in stream)
    else:
        assert not chunks
        assert "".join(each.text for each in stream)


async def test_streamed_and_whole_answers_say_the_same(caller: Caller) -> None:
    options = chat_pb2.GenerationOptions(max_tokens=8, temperature=0, seed=1)
    whole = await caller.complete(model="weak", options=options)
    stream = await responses(caller.chat(model="weak", options=options))
    assert "".join(each.text for each in stream) == whole.text


async def test_a_conversation_is_routed_by_its_last_user_turn(caller: Caller) -> None:
    alone = await caller.route("Thanks!")
    turns = ("Derive the Navier-Stokes equations.", "They follow from conservation laws.", "Thanks!")
    assert (await caller.route(conversation=conversation(*turns))).score != alone.score
    system = chat_pb2.ChatMessage(role=chat_pb2.ROLE_SYSTEM, content="You are a professor of physics.")
    led = chat_pb2.Conversation(messages=[system, *conversation("Thanks!").messages])
    decision = await caller.route(conversation=led)
    assert (decision.score, decision.cache) == (alone.score, decision_pb2.CACHE_STATE_L1_HIT)


async def test_a_very_long_turn_is_scored_in_part_and_says_so(caller: Caller) -> None:
    assert (await caller.route("word " * 4000)).truncated
    assert not (await caller.route()).truncated


async def test_health_is_told_for_the_server_and_for_each_service(caller: Caller) -> None:
    for name in ("", *SERVICES):
        answer = await caller.health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    unknown = await failure(caller.health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=5))
    assert unknown.code is grpc.StatusCode.NOT_FOUND


async def test_reflection_tells_the_services_and_their_messages(caller: Caller) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(caller.channel)  # type: ignore[arg-type]  # its types know no aio
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="steersman.api.v1.RouterService"),
    ]
    listed, file = [each async for each in stub.ServerReflectionInfo(iter(requests), timeout=5)]
    assert set(SERVICES) <= {service.name for service in listed.list_services_response.service}
    described = FileDescriptorProto.FromString(file.file_descriptor_response.file_descriptor_proto[0])
    assert [method.name for method in described.service[0].method] == ["Route", "Chat", "Complete"]


async def test_channelz_shows_the_server_and_its_calls(caller: Caller) -> None:
    await caller.route()
    stub: Any = channelz_pb2_grpc.ChannelzStub(caller.channel)  # type: ignore[arg-type]  # its types know no aio
    servers = await stub.GetServers(channelz_pb2.GetServersRequest(start_server_id=0), timeout=5)
    assert sum(server.data.calls_succeeded for server in servers.server) > 0


async def test_an_unknown_method_is_unimplemented(caller: Caller) -> None:
    call = caller.raw("/steersman.api.v1.RouterService/Forget", b"")
    assert (await failure(call)).code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", ["Route", "Complete"])
async def test_an_error_carries_its_reason_its_field_and_our_domain(caller: Caller, method: str) -> None:
    request = {"Route": pb.RouteRequest, "Complete": pb.CompleteRequest}[method]
    call = getattr(caller.stub, method)
    error = await failure(call(request(model="nobody", conversation=conversation(PROMPT)), timeout=5))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.domain, error.reason, error.fields) == ("steersman.dev", "UNKNOWN_MODEL", ("model",))
    assert error.retry_after is None
    empty = await failure(call(request(), timeout=5))
    assert (empty.reason, empty.fields) == ("INVALID_REQUEST", ("input",))


async def test_a_deadline_that_has_passed_is_told_as_such(caller: Caller) -> None:
    for call in (caller.route(seconds=-1), caller.complete(seconds=-1), responses(caller.chat(seconds=-1))):
        assert (await failure(call)).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await caller.route()).tier


async def test_a_deadline_in_the_middle_of_an_answer_ends_it(caller: Caller) -> None:
    endless = body("Count to a million.", max_tokens=1000, ignore_eos=True)
    error = await failure(responses(caller.chat(openai_body=endless, seconds=0.5)))
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_message_over_the_limit_is_resource_exhausted(caller: Caller) -> None:
    error = await failure(caller.route("x" * (9 << 20)))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await caller.route()).tier
