"""RouterService: protobuf in, protobuf out, no decisions."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc

from steersman.api.v1 import chat_pb2, router_service_pb2 as pb, router_service_pb2_grpc
from steersman.openai_api import answer, body
from steersman.openai_api.body import ChatBody
from steersman.router import messages
from steersman.router.callers import Callers
from steersman.router.edges import shown_by_call
from steersman.router.routing import Request, Routing
from steersman.router.sessions import checked_session_id
from steersman.runtime.deadline import Deadline
from steersman.runtime.errors import InvalidRequest

_Context = grpc.aio.ServicerContext[Any, Any]
_AnyRequest = pb.RouteRequest | pb.ChatRequest | pb.CompleteRequest

_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
}


@dataclass(frozen=True, slots=True)
class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """Serves `steersman.api.v1.RouterService`.

    Args:
        routing: What does the work.
        callers: Knows who calls.
        max_messages: Most messages of a conversation.
        default_timeout: Seconds that a request without a deadline has.
    """

    routing: Routing
    callers: Callers
    max_messages: int
    default_timeout: float

    async def Route(self, request: pb.RouteRequest, context: _Context) -> pb.RouteResponse:
        """Decide, and call no tier."""
        record = await self.routing.route(await self._request(request, context))
        response = pb.RouteResponse()
        messages.write_decision(response.decision, record)
        messages.write_overhead(response.overhead, record.stages)
        return response

    async def Chat(self, request: pb.ChatRequest, context: _Context) -> AsyncIterator[pb.ChatResponse]:
        """Answer as a stream."""
        typed = request.WhichOneof("input") == "conversation"
        first = True
        asked = await self._request(request, context)
        async with aclosing(self.routing.stream(asked)) as items:
            async for record, chunks in items:
                response = pb.ChatResponse()
                if first:
                    messages.write_decision(response.decision, record)
                    first = False
                if not chunks:
                    messages.write_summary(response.summary, record)
                elif typed:
                    response.text = "".join(map(answer.text_of_chunk, chunks))
                else:
                    response.openai_chunks.extend(chunks)
                yield response

    async def Complete(self, request: pb.CompleteRequest, context: _Context) -> pb.CompleteResponse:
        """Answer in one message."""
        record, raw = await self.routing.complete(await self._request(request, context))
        response = pb.CompleteResponse()
        messages.write_decision(response.decision, record)
        messages.write_summary(response.summary, record)
        if request.WhichOneof("input") == "conversation":
            response.text = answer.text_of_completion(raw)
        else:
            response.openai_body = raw
        return response

    async def _request(self, request: _AnyRequest, context: _Context) -> Request:
        received_at = time.perf_counter()
        caller = await self.callers.identify(shown_by_call(context))
        self.routing.refuse_early(caller)
        chat = self._body(request)
        left: float | None = context.time_remaining()  # None without a deadline, whatever its type says
        return Request(
            caller=caller,
            model=request.model or chat.model,
            body=chat,
            deadline=Deadline.after(self.default_timeout if left is None else left),
            threshold=request.threshold if request.HasField("threshold") else None,
            session_id=checked_session_id(request.session_id, field="session_id"),
            received_at=received_at,
        )

    def _body(self, request: _AnyRequest) -> ChatBody:
        match request.WhichOneof("input"):
            case "openai_body":
                return body.parse(request.openai_body, max_messages=self.max_messages)
            case "conversation":
                data: dict[str, Any] = {"messages": _typed_messages(request.conversation)}
                if not isinstance(request, pb.RouteRequest):
                    data |= _options(request.options)
                return body.of_data(data, max_messages=self.max_messages)
            case _:
                raise InvalidRequest("input", "give a conversation or an openai_body")


def _typed_messages(conversation: chat_pb2.Conversation) -> list[dict[str, str]]:
    typed: list[dict[str, str]] = []
    for index, message in enumerate(conversation.messages):
        role = _ROLES.get(message.role)
        if role is None:
            raise InvalidRequest(f"conversation.messages[{index}].role", "must be a known role")
        typed.append({"role": role, "content": message.content})
    return typed


def _options(options: chat_pb2.GenerationOptions) -> dict[str, Any]:
    """The generation options that are set, under OpenAI's names."""
    given: dict[str, Any] = {field.name: value for field, value in options.ListFields()}
    if "stop" in given:
        given["stop"] = list(given["stop"])
    if given.get("max_tokens", 1) < 1:
        raise InvalidRequest("options.max_tokens", "must be at least 1")
    for name in ("temperature", "top_p"):
        if not math.isfinite(given.get(name, 0.0)):  # JSON has no such numbers: the engine would be told null
            raise InvalidRequest(f"options.{name}", "must be a finite number")
    return given
