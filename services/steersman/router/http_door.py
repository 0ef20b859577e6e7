"""HTTP requests that are refused before anything is made of them, when there are more than the event loop can do.

To refuse in a handler costs a fifth of an answer and more, so that three times too much would leave half of them. gRPC
sheds below Python (`runtime/shedding.py`); here a protocol stands between the transport and aiohttp's, which is
not even made before the first request is let in: where callers run out of time, most requests come on new connections.
How many are let in is told by `shedding.py`. It looks at nothing but the beginning of a request and its length, and
lets in whatever it does not know: other paths, bodies in chunks, clients that send their next request before they have
their answer.

Connections end after a while, between two requests: a caller that keeps its own would otherwise never meet a replica
that came later, and be refused for ever by one that has too much to do. The gRPC server has an option for the same;
over HTTP, the last response on an old connection says `Connection: close`, and no request is lost.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Final, cast

from aiohttp import hdrs, web

from steersman.openai_api import errors as openai_errors
from steersman.router.edges import JSON, retry_after
from steersman.router.fairness import full

STATUS: Final = HTTPStatus(full().http_status)
"""Of a refusal."""

_ASKING: Final = b"POST /v1/chat/completions HTTP/1.1\r\n"
_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(.*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_PASSED_ON: Final = re.compile(rb"[\r\n](?:transfer-encoding|expect|upgrade)[ \t]*:", re.IGNORECASE)
"""Headers by which a request ends somewhere else than its length says, or waits for a word first.

Whatever anybody on the way might take for one counts, so that nobody sees another request begin than this does.
"""
_SPREAD: Final = 0.1
"""Part of the age by which connections differ, so that those that began together do not all end together."""
_MOST_UNSERVED: Final = 4096
"""Connections on which nothing was let in; more of them than may wait at a time."""
_LONGEST_SKIPPED: Final = 1024 * 1024
"""Body of a request that is refused here, in bytes; one that brings more is refused by its handler."""


class Door:
    """Lets requests in, or turns them away.

    Args:
        lets_in: Says of each request whether it is let in.
        on_turned_away: Told of each that is not.
        max_age_seconds: Age at which a connection is old.
        silence_seconds: How long one may say nothing on which nothing was let in.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        *,
        lets_in: Callable[[], bool],
        on_turned_away: Callable[[], None],
        max_age_seconds: float,
        silence_seconds: float = 60.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._lets_in = lets_in
        self._on_turned_away = on_turned_away
        self._max_age_seconds = max_age_seconds
        self._silence_seconds = silence_seconds
        self._clock = clock
        self._served: dict[object, _Way] = {}
        self._unserved: dict[_Way, None] = {}
        """In the order in which they came."""

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

    async def end_if_old(self, request: web.Request, response: web.StreamResponse) -> None:
        """Handle `on_response_prepare` of the application: an old connection has its last response."""
        way = self._served.get(request.protocol)
        if way is not None and way.old:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"

    def ends_at(self) -> float:
        """When a connection that begins now will be old."""
        return self._clock() + self._max_age_seconds * random.uniform(1 - _SPREAD, 1)  # noqa: S311 - spreads load, guards nothing

    def has_come(self, moment: float) -> bool:
        """Whether it is as late as that."""
        return self._clock() >= moment

    def lets_in(self) -> bool:
        """Whether one more request is let in; it is counted if it is not."""
        if self._lets_in():
            return True
        self._on_turned_away()
        return False

    def came(self, way: _Way) -> None:
        """Note that a connection has come; the oldest on which nothing was let in makes room for it."""
        self._unserved[way] = None
        if len(self._unserved) > _MOST_UNSERVED:
            next(iter(self._unserved)).close()

    async def keep_silence_out(self) -> None:
        """End connections that say nothing, again and again; aiohttp does that for those behind the door."""
        while True:
            await asyncio.sleep(self._silence_seconds / 4)
            for way in [each for each in self._unserved if self.has_come(each.silent_at)]:
                way.close()

    def silent_at(self) -> float:
        """When a connection that says something now has said nothing for too long."""
        return self._clock() + self._silence_seconds

    def serves(self, way: _Way, connection: object) -> None:
        """Note who is behind the door on a connection."""
        self._unserved.pop(way, None)
        self._served[connection] = way

    def left(self, way: _Way, connection: object) -> None:
        """Note that a connection has ended."""
        self._unserved.pop(way, None)
        self._served.pop(connection, None)


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
        self._ends_at = door.ends_at()
        self.silent_at = door.silent_at()
        """When it has said nothing for too long, if nothing of it is let in."""
        self._over = False
        """Whether it ends with the request that was refused last."""

    @property
    def old(self) -> bool:
        """Whether it should end with the next response."""
        return self._door.has_come(self._ends_at)

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
        if self._inner is None:
            self.silent_at = self._door.silent_at()
        if self._skipped:
            skipped, data = data[: self._skipped], data[self._skipped :]
            self._skipped -= len(skipped)
        if self._over:
            self._close_when_skipped()
            return
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
        self._over = self.old
        self._transport.write(_LAST_REFUSAL if self._over else _REFUSAL)
        if self._over:
            self._close_when_skipped()
        return True

    def _close_when_skipped(self) -> None:
        """End it, but not before the client has sent all: it might not look at the answer then."""
        if not self._skipped:
            self.close()


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


def _refusal(*further: str) -> bytes:
    error = full()
    body = openai_errors.to_json(error)
    head = (
        f"HTTP/1.1 {STATUS.value} {STATUS.phrase}",
        f"Content-Type: {JSON}",
        f"Retry-After: {retry_after(error.retry_after_seconds or 0.0)}",
        f"Content-Length: {len(body)}",
        *further,
    )
    return "\r\n".join(head).encode() + _END + body


_REFUSAL: Final = _refusal()
_LAST_REFUSAL: Final = _refusal("Connection: close")
