"""Asks over gRPC: streamed or whole, with typed messages or an OpenAI request body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import grpc
import orjson
from google.protobuf.duration_pb2 import Duration

from steersman.api.v1 import (
    chat_pb2,
    decision_pb2,
    router_service_pb2 as pb,
    router_service_pb2_grpc as services,
)
from steersman.local.demo.answers import SECONDS, STAGES, Answer
from steersman.local.demo.queries import Messages

_ROLES: Final = {"user": chat_pb2.ROLE_USER, "assistant": chat_pb2.ROLE_ASSISTANT}


class GrpcCaller:
    """A client of RouterService.

    Args:
        channel: To the router.
        max_tokens: Most tokens of an answer.
    """

    def __init__(self, channel: grpc.aio.Channel, *, max_tokens: int) -> None:
        self._router = services.RouterServiceStub(channel)
        self._max_tokens = max_tokens

    async def typed(self, messages: Messages, headers: Mapping[str, str], *, stream: bool) -> Answer:
        """Ask with typed messages."""
        conversation = chat_pb2.Conversation(
            messages=[
                chat_pb2.ChatMessage(role=_ROLES[each["role"]], content=each["content"]) for each in messages
            ]
        )
        options = chat_pb2.GenerationOptions(max_tokens=self._max_tokens)
        if stream:
            return await self._chat(pb.ChatRequest(conversation=conversation, options=options), headers)
        request = pb.CompleteRequest(conversation=conversation, options=options)
        return await self._complete(request, headers)

    async def raw(self, messages: Messages, headers: Mapping[str, str], *, stream: bool) -> Answer:
        """Ask with the body of an OpenAI request."""
        body = orjson.dumps({"model": "auto", "messages": messages, "max_tokens": self._max_tokens})
        if stream:
            return await self._chat(pb.ChatRequest(openai_body=body), headers)
        return await self._complete(pb.CompleteRequest(openai_body=body), headers)

    async def _chat(self, request: pb.ChatRequest, headers: Mapping[str, str]) -> Answer:
        text, decision, summary = "", decision_pb2.Decision(), pb.Summary()
        async for response in self._router.Chat(request, metadata=tuple(headers.items()), timeout=SECONDS):
            text += response.text + "".join(map(_delta, response.openai_chunks))
            if response.HasField("decision"):
                decision = response.decision
            if response.HasField("summary"):
                summary = response.summary
        return _answer(text, decision, summary)

    async def _complete(self, request: pb.CompleteRequest, headers: Mapping[str, str]) -> Answer:
        response = await self._router.Complete(request, metadata=tuple(headers.items()), timeout=SECONDS)
        text = response.text
        if response.openai_body:
            text = orjson.loads(response.openai_body)["choices"][0]["message"]["content"]
        return _answer(text, response.decision, response.summary)


def _delta(chunk: bytes) -> str:
    """The text in one chunk of an OpenAI stream."""
    choices = orjson.loads(chunk)["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


def _answer(text: str, decision: decision_pb2.Decision, summary: pb.Summary) -> Answer:
    reason = decision_pb2.DecisionReason.Name(decision.reason)
    cache = decision_pb2.CacheState.Name(decision.cache)
    return Answer(
        text=text,
        tier=decision.tier,
        reason=reason.removeprefix("DECISION_REASON_"),
        score=decision.score if decision.HasField("score") else None,
        threshold=decision.boundaries[0] if decision.boundaries else None,
        cache=cache.removeprefix("CACHE_STATE_"),
        stages_ms={stage: _milliseconds(getattr(summary.overhead, stage)) for stage in STAGES},
        input_tokens=summary.usage.prompt_tokens,
        output_tokens=summary.usage.completion_tokens,
    )


def _milliseconds(duration: Duration) -> float:
    return duration.ToMicroseconds() / 1000
