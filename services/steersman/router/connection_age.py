"""Connections of OpenAI's API end after a while, between two requests.

A caller that keeps its connections would otherwise never meet a replica that came later. The gRPC server has an option
for the same; over HTTP, the last response on an old connection says `Connection: close`, and no request is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic
from weakref import WeakKeyDictionary

from aiohttp import hdrs, web

_SPREAD = 0.1
"""Part of the age by which connections differ, so that those that began together do not all end together."""


class ConnectionAge:
    """Handles `on_response_prepare` of an application.

    Args:
        seconds: Age at which a connection is old.
        clock: Tells the time in seconds.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ends: WeakKeyDictionary[object, float] = WeakKeyDictionary()

    async def __call__(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let this be the connection's last response, if it is old."""
        if request.transport is None:  # the caller has left
            return
        # uvloop's transports over TLS cannot be referred to weakly; what encrypts for them can.
        connection = request.get_extra_info("ssl_object") or request.transport
        now = self._clock()
        end = self._ends.setdefault(connection, now + self._seconds * random.uniform(1 - _SPREAD, 1))  # noqa: S311 - spreads load, guards nothing
        if now >= end:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"
