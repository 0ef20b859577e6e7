"""HTTP requests that are refused before anything is made of them, when there are more than the event loop can do.

To refuse in a handler costs a fifth of an answer and more, so that three times too much would leave half of them. gRPC
sheds below Python (`runtime/shedding.py`); here a protocol stands between the transport and aiohttp's, which is
not even made before the first request is let in: where callers run out of time, most requests come on new connections.
How many are let in is told by `shedding.py`. It looks at nothing but the beginning of a request and its length, and
lets in whatever it does not know: other paths, bodies in chunks, clients that send their next request before they have
their answer.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from steersman.openai_api import errors as openai_errors
from steersman.router.edges import JSON, retry_after
from steersman.router.fairness import full

STATUS: Final = HTTPStatus(full().http_status)
"""Of a refusal."""

_ASKING: Final = b"POST /v1/chat/completions HTTP/1.1\r\n"
_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(.*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_PASSED_ON: Final = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade):", re.IGNORECASE)
"""Headers by which a request ends somewhere else than its length says, or waits for a word first."""
_BACKLOG: Final = 1024
"""Connections that wait to be taken up."""
_TAKEN_UP: Final = 16
"""Connections that are taken up in one turn of the loop."""
_LONGEST_SKIPPED: Final = 1024 * 1024
"""Body of a request that is refused here, in bytes; one that brings more is refused by its handler."""


class Door:
    """Lets requests in, or turns them away.

    Args:
        lets_in: Says of each request whether it is let in.
        on_turned_away: Told of each that is not.
    """

    def __init__(self, *, lets_in: Callable[[], bool], on_turned_away: Callable[[], None]) -> None:
        self._lets_in = lets_in
        self._on_turned_away = on_turned_away
        self._served: dict[object, _Way] = {}
        self._unserved: set[_Way] = set()

    @property
    def unserved(self) -> int:
        """Connections on which nothing was let in yet."""
        return len(self._unserved)

    def before(self, serve: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A factory of protocols, each with the door before one of those."""
        return partial(_Way, self, serve)

    def close(self) -> None:
        """End the connections on which nothing was let in yet; those behind the door are aiohttp's to end."""
        for way in list(self._unserved):
            way.close()

    def answered(self, connection: object) -> None:
        """The handler of a connection's request has ended, and returns what is left to be sent.

        That is sent at once, unless the client does not read: nothing can come in between.

        Args:
            connection: One of the protocols behind the door.
        """
        if (way := self._served.get(connection)) is not None:
            way.answered()

    def lets_in(self) -> bool:
        """Whether one more request is let in; it is counted if it is not."""
        if self._lets_in():
            return True
        self._on_turned_away()
        return False

    def came(self, way: _Way) -> None:
        """Note that a connection has come."""
        self._unserved.add(way)

    def serves(self, way: _Way, connection: object) -> None:
        """Note who is behind the door on a connection."""
        self._unserved.discard(way)
        self._served[connection] = way

    def left(self, way: _Way, connection: object) -> None:
        """Note that a connection has ended."""
        self._unserved.discard(way)
        self._served.pop(connection, None)


@asynccontextmanager
async def serving(
    runner: web.AppRunner, door: Door, address: str, context: ssl.SSLContext | None
) -> AsyncIterator[str]:
    """An application behind the door, served while the context lasts; responses in progress end when it is left.

    Args:
        runner: Of the application.
        door: Before it.
        address: HOST:PORT, where 0 is any free port.
        context: For TLS; in the clear without.

    Yields:
        HOST:PORT.

    Raises:
        OSError: The address cannot be listened on.
    """
    host, _, port = address.rpartition(":")
    await runner.setup()
    try:
        assert runner.server is not None  # noqa: S101 - it has just been set up
        servers = await _listening(door.before(runner.server), host, int(port), context)
        try:
            yield "{}:{}".format(*servers[0].sockets[0].getsockname()[:2])
        finally:
            for server in servers:
                server.close()
            door.close()
    finally:
        await runner.cleanup()


async def _listening(
    made: Callable[[], asyncio.Protocol], host: str, port: int, context: ssl.SSLContext | None
) -> list[asyncio.Server]:
    """Servers on the same sockets: in a turn of its loop, each takes up one connection (libuv from 1.45 on).

    Where turns are long, callers would wait for as many turns as there are connections before theirs.
    """
    loop = asyncio.get_running_loop()
    first = await loop.create_server(made, host, port, ssl=context, backlog=_BACKLOG)
    return [first] + [
        await loop.create_server(
            made, sock=socket.socket(fileno=os.dup(sock.fileno())), ssl=context, backlog=_BACKLOG
        )
        for sock in first.sockets
        for _ in range(_TAKEN_UP - 1)
    ]


class _Way(asyncio.Protocol):
    """One connection: what comes in goes through the door."""

    def __init__(self, door: Door, serve: Callable[[], asyncio.Protocol]) -> None:
        self._door = door
        self._serve = serve
        self._inner: asyncio.Protocol | None = None
        """None until something was let in."""
        self._transport: asyncio.Transport | None = None
        self._known = True
        """Whether it can be told where requests begin."""
        self._asks = False
        """Whether a request was let in that has not been answered."""
        self._left = 0
        """Bytes of the body of the last one that was let in which have not come."""
        self._skipped = 0
        """The same, of the last one that was refused."""
        self._paused = False
        """Whether the client does not read what it is sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's, which only looks like one
        self._door.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._door.left(self, self._inner)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._paused = True
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._paused = False
        if self._inner is not None:
            self._inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._skipped:
            skipped, data = data[: self._skipped], data[self._skipped :]
            self._skipped -= len(skipped)
        if self._left:
            body, data = data[: self._left], data[self._left :]
            self._left -= len(body)
            self._let_in(body)
        if not data:
            return
        if self._asks:  # the next request, before this one has its answer
            self._known = False
        if not (self._known and self._turned_away(data)):
            self._let_in(data)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def answered(self) -> None:
        """Its request has its answer."""
        self._asks = False

    def _let_in(self, data: bytes) -> None:
        if self._inner is None:
            assert self._transport is not None  # noqa: S101 - data comes after it
            self._inner = self._serve()
            self._door.serves(self, self._inner)
            self._inner.connection_made(self._transport)
        self._inner.data_received(data)

    def _turned_away(self, data: bytes) -> bool:
        """Whether the request that begins here goes no further; all else is let in."""
        body = _body_of(data)
        if body is None or self._transport is None:
            self._known = False
            return False
        length, come = body
        if length > _LONGEST_SKIPPED or self._paused or self._door.lets_in():
            self._asks = True
            self._left = length - come
            return False
        self._skipped = length - come
        self._transport.write(_REFUSAL)
        return True


def _body_of(data: bytes) -> tuple[int, int] | None:
    """The length of the body of the request that begins here, and how much of it is here; None for any other data."""
    if not data.startswith(_ASKING):
        return None
    end = data.find(_END) + len(_END)
    if end < len(_END) or _PASSED_ON.search(data, 0, end) is not None:
        return None
    lengths = _LENGTH.findall(data, 0, end)
    if len(lengths) != 1 or not lengths[0].isdigit():
        return None
    length, come = int(lengths[0]), len(data) - end
    return (length, come) if come <= length else None


def _refusal() -> bytes:
    error = full()
    body = openai_errors.to_json(error)
    head = (
        f"HTTP/1.1 {STATUS.value} {STATUS.phrase}\r\n"
        f"Content-Type: {JSON}\r\n"
        f"Retry-After: {retry_after(error.retry_after_seconds or 0.0)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_REFUSAL: Final = _refusal()
