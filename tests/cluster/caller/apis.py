"""The ways to ask: gRPC with the documented service configuration, and OpenAI's SDK as it comes.

Each caller has a connection of its own and keeps it: what makes it find new replicas is the product's business.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import openai
from openai.types.chat import ChatCompletionUserMessageParam

from cluster.caller.answers import Answer, Unfit
from steersman.api.v1 import chat_pb2, decision_pb2, router_service_pb2 as pb, router_service_pb2_grpc

SERVICE_CONFIG: Final = Path("/opt/steersman/grpc-service-config.json")
API_KEY: Final = os.environ.get("API_KEY", "")
"""Shown with each question; empty where the router tells nobody apart."""
LONGEST: Final = 4
"""Tokens of an answer."""

Ask = Callable[[str], Awaitable[Answer]]
_SHOWN: Final = (("authorization", f"Bearer {API_KEY}"),) if API_KEY else ()


@asynccontextmanager
async def by_grpc(target: str, method: str, model: str, seconds: float) -> AsyncIterator[Ask]:
    """A caller over gRPC: `route`, `complete` or `chat`."""
    options = [
        ("grpc.service_config", SERVICE_CONFIG.read_text()),
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        caller = _Grpc(router_service_pb2_grpc.RouterServiceStub(channel), model, seconds)
        ways: dict[str, Ask] = {"route": caller.route, "complete": caller.complete, "chat": caller.chat}
        yield ways[method]


class _Grpc:
    def __init__(self, stub: router_service_pb2_grpc.RouterServiceStub, model: str, seconds: float) -> None:
        self._stub = stub
        self._model = model
        self._asked: dict[str, Any] = {"timeout": seconds, "metadata": _SHOWN}

    async def route(self, text: str) -> Answer:
        request = pb.RouteRequest(model=self._model, conversation=_conversation(text))
        return _decided((await self._stub.Route(request, **self._asked)).decision)

    async def complete(self, text: str) -> Answer:
        request = pb.CompleteRequest(model=self._model, conversation=_conversation(text), options=_options())
        response = await self._stub.Complete(request, **self._asked)
        if not response.summary.finish_reason:
            raise Unfit("the answer does not say why it ended")
        return _decided(response.decision)

    async def chat(self, text: str) -> Answer:
        request = pb.ChatRequest(model=self._model, conversation=_conversation(text), options=_options())
        responses = [response async for response in self._stub.Chat(request, **self._asked)]
        if not responses or not responses[-1].summary.finish_reason:
            raise Unfit("the stream does not say why it ended")
        return _decided(responses[0].decision)


def _conversation(text: str) -> chat_pb2.Conversation:
    return chat_pb2.Conversation(messages=[chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=text)])


def _options() -> chat_pb2.GenerationOptions:
    return chat_pb2.GenerationOptions(max_tokens=LONGEST)


def _decided(decision: decision_pb2.Decision) -> Answer:
    reason = decision_pb2.DecisionReason.Name(decision.reason).removeprefix("DECISION_REASON_")
    cache = decision_pb2.CacheState.Name(decision.cache).removeprefix("CACHE_STATE_")
    return Answer(decision.tier, reason, cache)


@asynccontextmanager
async def by_openai(url: str, method: str, model: str, seconds: float) -> AsyncIterator[Ask]:
    """A caller with OpenAI's SDK: `whole` or `stream`."""
    async with openai.AsyncOpenAI(base_url=url, api_key=API_KEY or "none", timeout=seconds) as client:
        caller = _OpenAI(client, model)
        ways: dict[str, Ask] = {"whole": caller.whole, "stream": caller.stream}
        yield ways[method]


class _OpenAI:
    def __init__(self, client: openai.AsyncOpenAI, model: str) -> None:
        self._create = client.chat.completions.with_raw_response.create
        self._model = model

    async def whole(self, text: str) -> Answer:
        raw = await self._create(model=self._model, messages=[_message(text)], max_tokens=LONGEST)
        if not raw.parse().choices[0].finish_reason:
            raise Unfit("the answer does not say why it ended")
        return _from_headers(raw.headers)

    async def stream(self, text: str) -> Answer:
        raw = await self._create(
            model=self._model, messages=[_message(text)], max_tokens=LONGEST, stream=True
        )
        reasons = [choice.finish_reason async for chunk in raw.parse() for choice in chunk.choices]
        if not any(reasons):
            raise Unfit("the stream does not say why it ended")
        return _from_headers(raw.headers)


def _message(text: str) -> ChatCompletionUserMessageParam:
    return {"role": "user", "content": text}


def _from_headers(headers: Mapping[str, str]) -> Answer:
    return Answer(*(headers[f"x-steersman-{name}"] for name in ("tier", "reason", "cache")))
