"""Requests as callers make them, and how each ended.

gRPC callers have one channel over both routers with the retry policy that the documentation recommends; HTTP callers
try once more at the other router where they got no response, as the OpenAI SDK does behind one address.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import grpc
import orjson

from steersman.api.v1 import chat_pb2, decision_pb2, router_service_pb2 as pb, router_service_pb2_grpc
from steersman.local.parts import CHECKOUT
from steersman.runtime import rpc_errors
from steersman.runtime.errors import BrokenOff, DeadlineExceeded, Error, Overloaded

KINDS: Final = ("Route", "Chat", "Complete", "HTTP")
DEADLINE_SECONDS: Final = 20.0
_SERVICE_CONFIG: Final = CHECKOUT / "docs" / "grpc-service-config.json"
_TRIES: Final = 3
_BETWEEN_SECONDS: Final = 0.25
_TEXT_OF_FALLBACKS: Final = "CLASSIFIER_"


@dataclass(slots=True)
class Asked:
    """One request, and how it ended."""

    kind: str
    due: float
    """Seconds since the load began."""
    outcome: str = ""
    """answered, broken (a typed error after the first byte), refused, deadline, failed."""
    seconds: float = 0.0
    first_byte: float | None = None
    reason: str = ""
    """Of the decision."""
    cache: str = ""
    retries: int = 0
    error: str = ""

    @property
    def fell_back(self) -> bool:
        """Whether something else than what the policy wants has decided or answered."""
        return self.reason.startswith((_TEXT_OF_FALLBACKS, "TIER_"))


@dataclass(slots=True)
class Callers:
    """Callers of both routers.

    Args:
        stub: Over both, with the retry policy.
        http: For HTTP.
        urls: Of the routers.
    """

    stub: router_service_pb2_grpc.RouterServiceStub
    http: aiohttp.ClientSession
    urls: Sequence[str]
    max_tokens: int = 4
    deadline: float = DEADLINE_SECONDS
    _turns: Any = field(default_factory=itertools.count)
    _thresholds: Any = field(default_factory=lambda: itertools.cycle((1.0, 1.0, 0.0)))
    """Of gRPC callers, so that each tier has its part of the answers."""

    async def ask(self, kind: str, text: str, due: float, started: float) -> Asked:
        """Make one request; it never raises what the system did.

        Args:
            kind: One of `KINDS`.
            text: The prompt.
            due: When it was to be made, in seconds after `started`.
            started: When the load began.
        """
        asked = Asked(kind, due)
        begun_at = started + due
        try:
            await {"Route": self._route, "Chat": self._chat, "Complete": self._complete, "HTTP": self._http}[
                kind
            ](text, asked, begun_at)
        except grpc.aio.AioRpcError as error:
            _end(asked, rpc_errors.from_rpc_error(error), error.details() or "")
        except TimeoutError:
            asked.outcome, asked.error = "deadline", "the caller's own"
        except (aiohttp.ClientError, OSError) as error:
            asked.outcome = "broken" if asked.first_byte is not None else "failed"
            asked.error = f"{type(error).__name__}: {error}"
        else:
            asked.outcome = asked.outcome or "answered"
        asked.seconds = time.perf_counter() - begun_at
        return asked

    async def _route(self, text: str, asked: Asked, begun_at: float) -> None:
        response = await self.stub.Route(
            pb.RouteRequest(conversation=_conversation(text)), timeout=self.deadline
        )
        asked.first_byte = time.perf_counter() - begun_at
        _note(asked, response.decision)

    async def _complete(self, text: str, asked: Asked, begun_at: float) -> None:
        request = pb.CompleteRequest(
            conversation=_conversation(text), options=self._options(), threshold=next(self._thresholds)
        )
        response = await self.stub.Complete(request, timeout=self.deadline)
        asked.first_byte = time.perf_counter() - begun_at
        asked.retries = response.summary.retries
        _note(asked, response.decision)

    async def _chat(self, text: str, asked: Asked, begun_at: float) -> None:
        request = pb.ChatRequest(
            conversation=_conversation(text), options=self._options(), threshold=next(self._thresholds)
        )
        ended = False
        async for response in self.stub.Chat(request, timeout=self.deadline):
            if asked.first_byte is None:
                asked.first_byte = time.perf_counter() - begun_at
                _note(asked, response.decision)
            if response.HasField("summary"):
                asked.retries, ended = response.summary.retries, True
        if not ended:
            asked.outcome, asked.error = "failed", "the stream was cut off without an error"

    async def _http(self, text: str, asked: Asked, begun_at: float) -> None:
        body = orjson.dumps(
            {
                "model": "auto",
                "messages": [{"role": "user", "content": text}],
                "max_tokens": self.max_tokens,
                "stream": True,
            }
        )
        first = next(self._turns)
        async with asyncio.timeout(self.deadline):
            for attempt in range(_TRIES):
                url = self.urls[(first + attempt) % len(self.urls)]
                try:
                    if await self._http_once(url, body, asked, begun_at, last=attempt == _TRIES - 1):
                        return
                except aiohttp.ClientError:
                    if asked.first_byte is not None or attempt == _TRIES - 1:
                        raise
                await asyncio.sleep(_BETWEEN_SECONDS * 2**attempt)

    async def _http_once(self, url: str, body: bytes, asked: Asked, begun_at: float, *, last: bool) -> bool:
        """One attempt; false where another one is to be made."""
        async with self.http.post(f"{url}/v1/chat/completions", data=body) as response:
            if response.status in {429, 503} and not last:
                return False
            if response.status != 200:  # noqa: PLR2004 - HTTP's OK
                asked.error = f"{response.status} {(await response.read())[:200]!r}"
                asked.outcome = {429: "refused", 504: "deadline"}.get(response.status, "failed")
                return True
            asked.reason = response.headers["x-steersman-reason"]
            asked.cache = response.headers["x-steersman-cache"]
            asked.retries = int(response.headers["x-steersman-retries"])
            content = await response.content.readany()
            asked.first_byte = time.perf_counter() - begun_at
            content += await response.read()
        if b"data: [DONE]" not in content:
            told = b'data: {"error"' in content
            asked.outcome = "broken" if told else "failed"
            asked.error = content[-200:].decode(errors="replace")
        return True

    def _options(self) -> chat_pb2.GenerationOptions:
        return chat_pb2.GenerationOptions(max_tokens=self.max_tokens)


@asynccontextmanager
async def callers(
    grpc_addresses: Sequence[str], urls: Sequence[str], *, max_tokens: int = 4
) -> AsyncIterator[Callers]:
    """Callers, as long as the context lasts."""
    config = json.loads(_SERVICE_CONFIG.read_text())
    options = [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.enable_retries", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 2_000),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with (
        grpc.aio.insecure_channel(f"ipv4:{','.join(grpc_addresses)}", options=options) as channel,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield Callers(router_service_pb2_grpc.RouterServiceStub(channel), http, urls, max_tokens)


def _conversation(text: str) -> chat_pb2.Conversation:
    return chat_pb2.Conversation(messages=[chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=text)])


def _note(asked: Asked, decision: decision_pb2.Decision) -> None:
    asked.reason = decision_pb2.DecisionReason.Name(decision.reason).removeprefix("DECISION_REASON_")
    asked.cache = decision_pb2.CacheState.Name(decision.cache).removeprefix("CACHE_STATE_")


def _end(asked: Asked, error: Error, details: str) -> None:
    asked.error = f"{error.reason}: {details}"
    if isinstance(error, DeadlineExceeded):
        asked.outcome = "deadline"
    elif asked.first_byte is not None:
        asked.outcome = "broken"
    elif isinstance(error, Overloaded):
        asked.outcome = "refused"
    else:
        asked.outcome = "broken" if isinstance(error, BrokenOff) else "failed"
