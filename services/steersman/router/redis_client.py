"""A client of Redis or Valkey that does not wait long, and whose new connections use the certificates of now."""

from __future__ import annotations

import ssl
from typing import Any

import redis.asyncio
from redis.asyncio.connection import ConnectionPool, RedisSSLContext, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from steersman.runtime.tls import Wire


def redis_client(url: str, *, timeout: float, wire: Wire) -> redis.asyncio.Redis:
    """A client that connects when it is first needed.

    Args:
        url: Where Redis is: `redis://`, `rediss://` or `unix://`.
        timeout: Seconds that a command may take, or a connection.
        wire: How this process speaks; `rediss://` goes by the system's authorities where that is in the clear.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        **parse_url(url),
    }
    if options.get("connection_class") is SSLConnection and wire.client_context is not None:
        options |= {"connection_class": _Connection, "wire": wire}
    pool = ConnectionPool(**options)
    return redis.asyncio.Redis.from_pool(pool)


class _Current(RedisSSLContext):
    """The context that is in force when a connection is made."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def get(self) -> ssl.SSLContext:
        context = self._wire.client_context
        assert context is not None  # noqa: S101 - only a wire with certificates comes here
        return context


class _Connection(SSLConnection):
    def __init__(self, *, wire: Wire, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = _Current(wire)
