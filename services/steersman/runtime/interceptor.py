"""What every RPC gets at the edge: a span, a count, a duration, and errors in their gRPC form.

Servicers hold no `try`: they raise from the tree in `errors`, and this module is where a raise becomes a status. It is
also the one place where an unforeseen exception is caught; it is logged with its traceback and told as INTERNAL,
without its text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.trace import Span, SpanKind

from steersman.runtime import rpc_errors, telemetry
from steersman.runtime.client_names import ClientNames
from steersman.runtime.deadline import UNREAD_SECONDS
from steersman.runtime.errors import Error, InvalidRequest
from steersman.runtime.metrics import ProcessMetrics

log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Unary = Callable[[Any, _Context], Awaitable[Any]]
_Stream = Callable[[Any, _Context], AsyncIterator[Any]]
_Writing = Callable[[Any, _Context], Awaitable[None]]


class EdgeInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler once, and keeps what it wrapped.

    Args:
        metrics: Where RPCs are counted.
        client_names: Whose certificates may call; any where not given.
    """

    def __init__(self, metrics: ProcessMetrics, client_names: ClientNames | None = None) -> None:
        self._metrics = metrics
        self._client_names = client_names
        self._wrapped: dict[str, _Handler] = {}
        self.taken = 0
        """Calls that gRPC has handed over."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """The handler of a method, with its edge around it."""
        self.taken += 1
        method = handler_call_details.method
        if (known := self._wrapped.get(method)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method: gRPC answers UNIMPLEMENTED, and the caller's word is not kept
            return None
        wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        if method.startswith("/grpc."):
            return handler  # health, reflection and channelz, which no one traces
        guarded = self._client_names is not None and self._client_names.guards(method)
        edge = _Edge(method, self._metrics, self._client_names if guarded else None)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                edge.unary(cast("_Unary", handler.unary_unary)),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                edge.stream(cast("_Stream", handler.unary_stream)),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return handler


async def _read(written: Awaitable[None]) -> None:
    """Wait until the caller has taken what is written, or nearly.

    Raises:
        asyncio.CancelledError: It does not, and counts as gone. To tell it so would have to wait for the same.
    """
    try:
        async with asyncio.timeout(UNREAD_SECONDS):
            await written
    except TimeoutError:
        log.info("a caller does not read what it asked for")
        raise asyncio.CancelledError from None


class _Undecodable:
    """Stands for a request whose bytes are no message; gRPC alone would answer UNKNOWN."""


def _lenient(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if decode is None:
        return None

    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return _Undecodable()

    return decoded


class _Edge:
    """The edge of one method; what does not change from call to call is looked up once."""

    def __init__(self, method: str, metrics: ProcessMetrics, client_names: ClientNames | None) -> None:
        self._client_names = client_names
        self._name = method.removeprefix("/")
        self._codes = {code: metrics.rpcs.labels(self._name, code.name) for code in grpc.StatusCode}
        self._seconds = metrics.rpc_seconds.labels(self._name)

    def unary(self, handle: _Unary) -> _Unary:
        async def handled(request: Any, context: _Context) -> Any:
            started = time.perf_counter()
            span = self._begin(context)
            code = grpc.StatusCode.OK
            try:
                self._check(request, context)
                return await handle(request, context)
            except BaseException as error:  # noqa: BLE001 - the edge: every outcome is counted, then told or raised
                code = self._code(error)
                await self._abort(context, span, error)
            finally:
                self._end(span, code, started)

        return handled

    def stream(self, handle: _Stream) -> _Writing:
        async def handled(request: Any, context: _Context) -> None:
            started = time.perf_counter()
            span = self._begin(context)
            code = grpc.StatusCode.OK
            responses = handle(request, context)
            try:
                self._check(request, context)
                async for response in responses:
                    await _read(context.write(response))
            except BaseException as error:  # noqa: BLE001 - the edge: every outcome is counted, then told or raised
                code = self._code(error)
                await self._abort(context, span, error)
            finally:
                await responses.aclose()  # type: ignore[attr-defined]  # every handler is an async generator
                self._end(span, code, started)

        return handled

    def _check(self, request: object, context: _Context) -> None:
        if self._client_names is not None:
            self._client_names.check(context.auth_context())
        if isinstance(request, _Undecodable):
            raise InvalidRequest("", "the request is not a message of this method's type")

    def _begin(self, context: _Context) -> Span:
        headers = dict(
            context.invocation_metadata() or ()
        )  # of bytes where a name ends in -bin, as no one's here does
        return telemetry.begin(self._name, SpanKind.SERVER, cast("dict[str, str]", headers))

    @staticmethod
    def _code(error: BaseException) -> grpc.StatusCode:
        if isinstance(error, Error):
            return rpc_errors.status_code(error)
        gone = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        return grpc.StatusCode.CANCELLED if gone else grpc.StatusCode.INTERNAL

    async def _abort(self, context: _Context, span: Span, error: BaseException) -> NoReturn:
        telemetry.fail(span, error)
        if isinstance(error, Error):
            await context.abort_with_status(rpc_errors.to_status(error))
        if isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            log.error("unforeseen failure", exc_info=error, extra={"method": self._name})
            await context.abort_with_status(rpc_errors.to_status(Error("internal error")))
        raise error

    def _end(self, span: Span, code: grpc.StatusCode, started: float) -> None:
        span.set_attribute("rpc.response.status_code", code.name)
        span.end()
        self._codes[code].inc()
        self._seconds.observe(time.perf_counter() - started)
