"""OpenAI's HTTP API: `/v1/chat/completions`, `/v1/models`, and health. The official SDK is the judge.

A failure before the first byte is an error response in OpenAI's shape; one after it is an `error` object in the
stream, which makes the SDK raise, and no `[DONE]`, so that nothing that was cut off looks complete.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import orjson
from aiohttp import web
from opentelemetry.trace import Span, SpanKind

from steersman.openai_api import body, errors as openai_errors
from steersman.router.accounting import Record
from steersman.router.callers import Callers
from steersman.router.choosing import model_names
from steersman.router.edges import JSON, body_of, edge, error_response, json_response, shown_by_request
from steersman.router.headers import decision_headers
from steersman.router.http_decisions import DecisionHandlers
from steersman.router.http_door import Door
from steersman.router.model import Caller
from steersman.router.routing import Request, Routing
from steersman.router.sessions import checked_session_id
from steersman.runtime import telemetry
from steersman.runtime.deadline import UNREAD_SECONDS, Deadline
from steersman.runtime.errors import Error, InvalidRequest

log = logging.getLogger(__name__)

_LONGEST_PATH = 100
_CALLER_HAS_LEFT = 499
"""What is counted where no status could be told, as nginx does."""
_LAST_SECONDS = 1.0
"""How long an error may take to be read when the deadline has passed."""
THRESHOLD_HEADER = "x-steersman-threshold"
"""Request header with a threshold to use instead of the policy's."""
SESSION_HEADER = "x-steersman-session-id"
"""Request header with the caller's own name of the conversation."""


@dataclass(frozen=True, slots=True)
class HttpApi:
    """Handlers of the HTTP API.

    Args:
        routing: What does the work.
        callers: Knows who calls.
        decisions: Serves the paths about decisions.
        max_messages: Most messages of a conversation.
        default_timeout: Seconds that a request has.
        health: Says of each part whether it works, for `/readyz`.
        on_response: Told the status of each chat completion.
        door: Is told which of those that it has let in are answered.
        started_at: Unix time, told as the creation time of models.
    """

    routing: Routing
    callers: Callers
    decisions: DecisionHandlers
    max_messages: int
    default_timeout: float
    health: Callable[[], Mapping[str, bool]]
    on_response: Callable[[int], None]
    door: Door
    started_at: int = field(default_factory=lambda: int(time.time()))

    def application(self, *, max_bytes: int) -> web.Application:
        """The application; a larger body than `max_bytes` is 413."""
        app = web.Application(client_max_size=max_bytes)
        app.router.add_post("/v1/chat/completions", self.chat_completions)
        app.router.add_get("/v1/models", edge(self.models))
        app.router.add_get("/v1/models/{name}", edge(self.model))
        self.decisions.add_to(app)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_route("*", "/{path:.*}", self.unknown)
        return app

    async def chat_completions(self, http: web.Request) -> web.StreamResponse:
        """Answer a chat completion, whole or as a stream of server-sent events."""
        received_at = time.perf_counter()
        span = telemetry.begin("POST /v1/chat/completions", SpanKind.SERVER, http.headers)
        status = _CALLER_HAS_LEFT
        try:
            response = await self._answered(http, received_at, span)
            status = response.status
        except ConnectionResetError:  # in the middle of a write
            raise asyncio.CancelledError from None
        else:
            return response
        finally:
            self.door.answered(http.protocol)
            self.on_response(status)
            span.set_attribute("http.response.status_code", status)
            span.end()

    async def models(self, http: web.Request) -> web.Response:
        """The policies and tiers that the caller may use, as models."""
        names = await self._models_for(http)
        return json_response({"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, http: web.Request) -> web.Response:
        """One policy or tier, as a model."""
        name = http.match_info["name"]
        if name in await self._models_for(http):
            return json_response(self._model(name))
        return _not_found("no policy or tier has this name", "model_not_found", "model")

    async def healthz(self, _: web.Request) -> web.Response:
        """Alive."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Ready: a router that serves is, and the parts that it can do without are told apart."""
        parts = {name: "ok" if works else "degraded" for name, works in self.health().items()}
        return json_response({"status": "ready", "parts": parts})

    async def unknown(self, http: web.Request) -> web.Response:
        """Any other path or method."""
        return _not_found(f"unknown request: {http.method} {http.path[:_LONGEST_PATH]}", "unknown_url", None)

    async def _answered(self, http: web.Request, received_at: float, span: Span) -> web.StreamResponse:
        """The response, whatever happens, unless the caller leaves."""
        deadline = Deadline.after(self.default_timeout)
        events = _Events(http, deadline)
        try:
            request = await self._request(http, received_at, deadline)
            if request.body.stream:
                return await self._stream(request, events)
            record, answer = await self.routing.complete(request)
            return web.Response(body=answer, content_type=JSON, headers=decision_headers(record))
        except ConnectionResetError:
            raise
        except Error as error:
            telemetry.fail(span, error)
            return await events.failed(error)
        except Exception as error:  # an edge: logged with its traceback, told without its text
            log.exception("unforeseen failure", extra={"path": "/v1/chat/completions"})
            telemetry.fail(span, error)
            return await events.failed(Error("internal error"))

    async def _caller(self, http: web.Request) -> Caller:
        return await self.callers.identify(shown_by_request(http))

    async def _models_for(self, http: web.Request) -> list[str]:
        caller, catalogue = await self._caller(http), self.routing.catalogue
        return model_names(catalogue, catalogue.rights(caller.tenant))

    async def _request(self, http: web.Request, received_at: float, deadline: Deadline) -> Request:
        caller = await self._caller(http)  # before anything of the body is read
        with self.routing.reading(caller):
            raw = await body_of(http, deadline)
        chat = body.parse(raw, max_messages=self.max_messages)
        return Request(
            caller=caller,
            model=chat.model,
            body=chat,
            deadline=deadline,
            threshold=_threshold(http.headers.get(THRESHOLD_HEADER)),
            session_id=checked_session_id(http.headers.get(SESSION_HEADER, ""), field=SESSION_HEADER),
            received_at=received_at,
        )

    async def _stream(self, request: Request, events: _Events) -> web.StreamResponse:
        async with aclosing(self.routing.stream(request)) as items:
            async for record, chunks in items:
                await events.send(record, chunks)
        return await events.done()

    def _model(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self.started_at, "owned_by": "steersman"}


@dataclass(slots=True)
class _Events:
    """A stream of server-sent events, which begins with the first of them.

    A caller that does not read it is taken for gone: its own time would otherwise never end.
    """

    http: web.Request
    deadline: Deadline
    response: web.StreamResponse | None = None

    async def send(self, record: Record, chunks: Sequence[bytes]) -> None:
        """Send chunks; what is known of the decision goes before the first of them."""
        if self.response is None:
            response = web.StreamResponse(headers=decision_headers(record))
            response.content_type = "text/event-stream"
            response.headers["Cache-Control"] = "no-cache"
            await response.prepare(self.http)
            self.response = response
        if chunks:
            await self._read(self.response.write(b"".join(map(_event, chunks))))

    async def done(self) -> web.StreamResponse:
        """End a stream that is complete."""
        if self.response is None:
            raise Error("the stream had no end")
        return await self._end(self.response, b"[DONE]")

    async def failed(self, error: Error) -> web.StreamResponse:
        """Tell an error: in the stream where it has begun, and as a response of its own before that."""
        if self.response is None:
            return error_response(error)
        return await self._end(self.response, orjson.dumps({"error": openai_errors.to_object(error)}))

    async def _end(self, response: web.StreamResponse, last: bytes) -> web.StreamResponse:
        await self._read(response.write(_event(last)))
        await self._read(response.write_eof())
        return response

    async def _read(self, written: Awaitable[None]) -> None:
        """Wait until the caller has taken what is written, or nearly.

        Raises:
            ConnectionResetError: It does not.
        """
        try:
            async with asyncio.timeout(min(UNREAD_SECONDS, max(_LAST_SECONDS, self.deadline.remaining))):
                await written
        except TimeoutError:
            if self.http.transport is not None:
                self.http.transport.abort()
            raise ConnectionResetError("the caller does not read") from None


def _event(data: bytes) -> bytes:
    """A server-sent event; each line of its data is one of the event's."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    return b"data: %b\n\n" % data


def _not_found(message: str, code: str, param: str | None) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return json_response({"error": error}, status=404)


def _threshold(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return float(header)
    except ValueError:
        raise InvalidRequest(THRESHOLD_HEADER, "must be a number from 0 to 1") from None
