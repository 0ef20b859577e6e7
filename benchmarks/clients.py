"""Clients that cost little, since they share the machine with what is measured: gRPC on raw bytes, HTTP on a protocol.

Both answer with bytes, which are judged when the clock has stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

import grpc

Unary = Callable[[bytes], Awaitable[bytes]]
Streaming = Callable[[bytes], Awaitable[list[bytes]]]

_SECONDS: Final = 20.0
"""Deadline of a request."""
_OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))
_HEAD_END: Final = b"\r\n\r\n"
_OK: Final = b"HTTP/1.1 200 "
_LENGTH: Final = b"\r\ncontent-length:"
_LAST: Final = b"\r\nconnection: close"
"""In the head of a connection's last response, as those of a router that ends connections of some age."""


class HttpFailed(Exception):
    """The server broke the connection off, or answered in a way that this client does not read."""


class HttpRefused(Exception):
    """The server answered with another status than 200.

    Args:
        head: Of the response: its status line and headers.
    """

    def __init__(self, head: bytes) -> None:
        super().__init__(head.decode("latin-1"))
        self.head = head


@asynccontextmanager
async def grpc_unary(address: str, method: str, *, authorization: str = "") -> AsyncIterator[Unary]:
    """A method with one answer, on a connection of its own; with the key that the caller shows, if any."""
    metadata = (("authorization", authorization),) if authorization else None
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

        async def call(request: bytes) -> bytes:
            return await ask(request, timeout=_SECONDS, metadata=metadata)

        yield call


@asynccontextmanager
async def grpc_streaming(address: str, method: str, *, only_first: bool = False) -> AsyncIterator[Streaming]:
    """A method that answers with a stream, on a connection of its own; its messages, or the first and no more."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(method)

        async def call(request: bytes) -> list[bytes]:
            return [message async for message in ask(request, timeout=_SECONDS)]

        async def begun(request: bytes) -> list[bytes]:
            stream = ask(request, timeout=_SECONDS)
            message = await stream.read()
            stream.cancel()
            return [message] if isinstance(message, bytes) else []

        yield begun if only_first else call


@asynccontextmanager
async def http_post(host: str, port: int, path: str) -> AsyncIterator[Unary]:
    """POST of JSON, on connections that are kept: as many as there were requests at once."""
    idle: list[_Connection] = []
    opened: list[_Connection] = []
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: "
    )

    async def call(body: bytes) -> bytes:
        while idle and not idle[-1].open:  # servers close what has been idle for some seconds
            idle.pop()
        connection = idle.pop() if idle else await _connect(host, port, opened)
        try:
            async with asyncio.timeout(_SECONDS):
                status, answer = await connection.exchange(
                    b"%b%d\r\n\r\n%b" % (head.encode(), len(body), body)
                )
        except BaseException:
            connection.close()
            raise
        idle.append(connection)
        if not status.startswith(_OK):
            raise HttpRefused(status)
        return answer

    try:
        yield call
    finally:
        for connection in opened:
            connection.close()


async def _connect(host: str, port: int, opened: list[_Connection]) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, port)
    opened.append(connection)
    return connection


class _Connection(asyncio.Protocol):
    """One request at a time; reads responses that tell their length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._received = b""
        self._ends = False

    @property
    def open(self) -> bool:
        """Whether it can be used."""
        return not self._ends and self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's, which only looks like one

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        self._settle(HttpFailed(f"the connection ended: {exc}"))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end:
            return
        length = content_length(head)
        if length is None:
            self._settle(HttpFailed("the response does not tell its length"))
        elif len(body) >= length:
            self._received = b""
            self._ends = _LAST in head.lower()
            self._settle((head, body))

    def exchange(self, request: bytes) -> asyncio.Future[tuple[bytes, bytes]]:
        """Send a request; head and body of its response."""
        if self._transport is None:
            raise HttpFailed("the connection has ended")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _settle(self, outcome: tuple[bytes, bytes] | HttpFailed) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if isinstance(outcome, HttpFailed):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


def content_length(head: bytes) -> int | None:
    """The length that the head of an HTTP message tells, if it does."""
    _, found, rest = head.lower().partition(_LENGTH)
    return int(rest.partition(b"\r\n")[0]) if found else None
