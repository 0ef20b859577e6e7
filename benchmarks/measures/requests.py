"""Questions to the router, and what a right answer to each looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from steersman.api.v1 import chat_pb2, decision_pb2, router_service_pb2 as pb

_SERVICE: Final = "/steersman.api.v1.RouterService"
ROUTE: Final = f"{_SERVICE}/Route"
COMPLETE: Final = f"{_SERVICE}/Complete"
CHAT: Final = f"{_SERVICE}/Chat"
HTTP_PATH: Final = "/v1/chat/completions"

_BY_THE_CLASSIFIER: Final = (
    decision_pb2.DECISION_REASON_SCORE,
    decision_pb2.DECISION_REASON_OUT_OF_DOMAIN,
)

Units = Callable[[bytes], int]


def route(prompt: str, session_id: str = "") -> bytes:
    """A `RouteRequest` with typed messages."""
    return pb.RouteRequest(conversation=_conversation(prompt), session_id=session_id).SerializeToString()


def complete(prompt: str) -> bytes:
    """A `CompleteRequest` with typed messages."""
    return pb.CompleteRequest(conversation=_conversation(prompt)).SerializeToString()


def chat(prompt: str) -> bytes:
    """A `ChatRequest` with an OpenAI body, whose answer comes as OpenAI's chunks."""
    return pb.ChatRequest(openai_body=http(prompt, stream=True)).SerializeToString()


def http(prompt: str, *, model: str = "auto", stream: bool = False) -> bytes:
    """The body of an OpenAI chat completion request."""
    messages = [{"role": "user", "content": prompt}]
    return orjson.dumps({"model": model, "messages": messages, **({"stream": True} if stream else {})})


def decided(decision: decision_pb2.Decision, cache: decision_pb2.CacheState) -> bool:
    """Whether the classifier's output decided, and came from where it should."""
    return decision.reason in _BY_THE_CLASSIFIER and decision.cache == cache


def routed(cache: decision_pb2.CacheState) -> Units:
    """Takes an answer to `Route` for right whose decision is, with its score from there."""
    return lambda answer: decided(pb.RouteResponse.FromString(answer).decision, cache)


def scored(cache: decision_pb2.CacheState) -> Units:
    """The same, whatever decided in the end: a conversation may keep to its tier."""

    def right(answer: bytes) -> int:
        decision = pb.RouteResponse.FromString(answer).decision
        return int(decision.HasField("score") and decision.cache == cache)

    return right


def _conversation(prompt: str) -> chat_pb2.Conversation:
    message = chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=prompt)
    return chat_pb2.Conversation(messages=[message])


def same_as(expected: bytes) -> Units:
    """Takes an answer for right that is this one, byte by byte."""
    return lambda answer: int(answer == expected)
