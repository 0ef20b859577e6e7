"""A fake engine: a real HTTP server in the test's loop that speaks OpenAI's chat completions, and fails on demand.

It answers as llama.cpp does (checked by the contract suite, which runs on both), so that what holds for one holds for
the other. Its knobs are plain attributes, to be turned between requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed


@dataclass
class FakeEngine:
    """What the engine says, how it fails, and what it saw."""

    url: str = ""
    model: str = "fake-model"
    tokens: Sequence[str] = ("Hello", " there", "!")
    """The answer, one chunk a token."""
    slots: int | None = 2
    """What `/props` says; None for an engine that has no `/props`, such as vLLM."""
    context_window: int | None = 2048
    api_key: str | None = None

    props_status: int | None = None
    """Of a page that `/props` answers with in place of what it says."""
    models_status: int = 200
    status: int = 200
    """Another one is answered with an error object."""
    retry_after: str | None = None
    content_type: str | None = None
    raw_body: bytes | None = None
    """Sent instead of an answer."""
    die_before_answer: bool = False
    """Close the connection without a byte."""
    hold_before_answer: bool = False
    """Say nothing until `release`."""
    hold_after: int | None = None
    """Say nothing after so many chunks, until `release`."""
    reset_after: int | None = None
    """Reset the connection after so many chunks."""
    end_after: int | None = None
    """End the stream early but cleanly after so many chunks."""
    error_after: int | None = None
    """Report an error in the stream after so many chunks."""
    send_done: bool = True
    send_finish: bool = True
    piece_bytes: int | None = None
    """Write the stream in pieces of this size."""
    token_seconds: float = 0.0
    """Time that it takes for each chunk, the first included."""

    seen: list[Seen] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    running: int = 0
    disconnects: int = 0
    """Requests whose caller left."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def release(self) -> None:
        """Let go of what `hold_before_answer` and `hold_after` hold."""
        self._released.set()

    async def until(self, *, running: int | None = None, disconnects: int | None = None) -> None:
        """Wait for so many requests in progress, or so many that were left."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(
                lambda: running in (None, self.running) and disconnects in (None, self.disconnects)
            )

    async def busy(self) -> int:
        """Requests in progress."""
        return self.running

    async def _change(self, *, running: int = 0, disconnects: int = 0) -> None:
        async with self._changed:
            self.running += running
            self.disconnects += disconnects
            self._changed.notify_all()

    async def health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def props(self, _: web.Request) -> web.Response:
        if self.props_status is not None:
            return web.Response(text="<html>", status=self.props_status, content_type="text/html")
        if self.slots is None:
            raise web.HTTPNotFound
        return _json(
            {"total_slots": self.slots, "default_generation_settings": {"n_ctx": self.context_window}}
        )

    async def models(self, request: web.Request) -> web.Response:
        if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _json({"error": {"code": 401, "message": "bad key"}}, status=401)
        if self.models_status != 200:
            return _json(_error(self.models_status), status=self.models_status)
        model = {"id": self.model, "object": "model", "owned_by": "fake"}
        if self.slots is None and self.context_window is not None:
            model |= {"max_model_len": self.context_window}  # type: ignore[dict-item]  # as vLLM says it
        return _json({"object": "list", "data": [model]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(await request.read(), {k.lower(): v for k, v in request.headers.items()}))
        self.connections.add(id(request.transport))
        await self._change(running=1)
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            await self._change(disconnects=1)
            raise
        finally:
            await self._change(running=-1)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.die_before_answer:
            _reset(request)
        if self.hold_before_answer:
            await self._released.wait()
        if self.status != 200:
            headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
            error = self.raw_body or orjson.dumps(_error(self.status))
            return web.Response(
                body=error, status=self.status, headers=headers, content_type="application/json"
            )
        if (refusal := _refusal(self.seen[-1].body, self.context_window)) is not None:
            return _json(refusal, status=400)
        if self.raw_body is not None:
            return web.Response(body=self.raw_body, content_type=self.content_type or "application/json")
        if self.seen[-1].json.get("stream"):
            return await self._stream(request)
        await asyncio.sleep(self.token_seconds * len(self.tokens))
        return web.Response(
            body=orjson.dumps(self._completion()), content_type=self.content_type or "application/json"
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": self.content_type or "text/event-stream"})
        await response.prepare(request)
        chunks = self._chunks()
        for number in range(len(chunks) + 1):
            if number == self.hold_after:
                await self._released.wait()
            if number == self.reset_after:
                _reset(request)
            if number == self.end_after:
                await response.write_eof()
                return response
            if number == self.error_after:
                await self._write(response, _event(_error(500)))
                break
            if number < len(chunks):
                await asyncio.sleep(self.token_seconds)
                await self._write(response, _event(chunks[number]))
        if self.send_done:
            await self._write(response, b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        size = self.piece_bytes or len(data)
        for start in range(0, len(data), size):
            await response.write(data[start : start + size])
            if self.piece_bytes:
                await asyncio.sleep(0)

    def _chunks(self) -> list[dict[str, Any]]:
        request = self.seen[-1].json
        chunks = [self._chunk({"role": "assistant", "content": None})]
        chunks += [self._chunk({"content": token}) for token in self.tokens]
        if self.send_finish:
            chunks.append(self._chunk({}, finish_reason="stop"))
        if (request.get("stream_options") or {}).get("include_usage"):
            chunks.append({**self._chunk({}), "choices": [], "usage": self._usage()})
        return chunks

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {
            "choices": [{"index": 0, "finish_reason": finish_reason, "delta": delta}],
            "id": "chatcmpl-fake",
            "created": 1,
            "model": self.model,
            "object": "chat.completion.chunk",
        }

    def _completion(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": "".join(self.tokens)}
        return {
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "id": "chatcmpl-fake",
            "created": 1,
            "model": self.model,
            "object": "chat.completion",
            "usage": self._usage(),
        }

    def _usage(self) -> dict[str, int]:
        count = len(self.tokens)
        return {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": count + 7}


@asynccontextmanager
async def fake_engine(*, port: int = 0, **knobs: Any) -> AsyncIterator[FakeEngine]:
    """A fake engine on loopback, on a free port unless one is given, while the context lasts."""
    engine = FakeEngine(**knobs)
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_get("/health", engine.health)
    application.router.add_get("/props", engine.props)
    application.router.add_get("/v1/models", engine.models)
    application.router.add_post("/v1/chat/completions", engine.chat)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, port = runner.addresses[0]
    engine.url = f"http://{host}:{port}"
    try:
        yield engine
    finally:
        engine.release()
        await runner.cleanup()


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(value), status=status, headers=headers, content_type="application/json"
    )


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _error(status: int) -> dict[str, Any]:
    return {"error": {"code": status, "message": "as the test wishes", "type": "fake_error"}}


def _refusal(body: bytes, context_window: int | None) -> dict[str, Any] | None:
    """What is wrong with a request, in llama.cpp's words."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _error(400)
    messages = request.get("messages")
    if not isinstance(messages, list):
        return _error(400)
    words = sum(len(str(message.get("content")).split()) for message in messages)
    return _error(400) if context_window is not None and words > context_window else None


def _reset(request: web.Request) -> None:
    """Drop the connection; the handler is cancelled by it."""
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError
