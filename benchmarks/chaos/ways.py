"""Ways to ask a router, in one form, and what the errors of each mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import grpc
from benchmarks.chaos.refusing import says_when
from benchmarks.clients import HttpFailed, HttpRefused, http_post

Ask = Callable[[bytes, float], Awaitable[bytes]]
"""Asks a question that has so many seconds; raises one of `ERRORS`."""
ERRORS: Final = (grpc.aio.AioRpcError, HttpRefused, HttpFailed, OSError)

_CONNECTIONS: Final = 1000
"""As OpenAI's SDK has at most."""
_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)
_REFUSALS: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
_REFUSAL_LINES: Final = (b"HTTP/1.1 429 ", b"HTTP/1.1 503 ")


class Ending(Enum):
    """How a question ended that got no answer."""

    REFUSED = auto()
    """In words that say when to come back."""
    SILENT = auto()
    """In words that do not."""
    SHED = auto()
    """Cancelled by the server."""
    FAILED = auto()


class Way(Protocol):
    """How a router is asked; it is told to the process that asks."""

    def opened(self) -> AbstractAsyncContextManager[Ask]:
        """Connections, as long as the context lasts."""
        ...

    def ending(self, error: Exception) -> Ending:
        """What an error means."""
        ...


@dataclass(frozen=True, slots=True)
class OverGrpc:
    """A method with one answer.

    Attributes:
        address: Of the router.
        method: Of its own.
    """

    address: str
    method: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Ask]:
        """See `Way`."""
        async with grpc.aio.insecure_channel(self.address, options=_OPTIONS) as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(self.method)

            async def ask(question: bytes, seconds: float) -> bytes:
                return await call(question, timeout=seconds)

            yield ask

    def ending(self, error: Exception) -> Ending:
        """See `Way`."""
        code = error.code() if isinstance(error, grpc.aio.AioRpcError) else None
        if isinstance(error, grpc.aio.AioRpcError) and code in _REFUSALS:
            return Ending.REFUSED if says_when(error) else Ending.SILENT
        # Nobody here cancels anything.
        return Ending.SHED if code is grpc.StatusCode.CANCELLED else Ending.FAILED


@dataclass(frozen=True, slots=True)
class OverHttp:
    """A path of the HTTP API, on as many connections as there are requests at once, up to a bound; more wait for one.

    Attributes:
        host: Of the router.
        port: Of its HTTP listener.
        path: What is posted to.
    """

    host: str
    port: int
    path: str

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Ask]:
        """See `Way`."""
        free = asyncio.Semaphore(_CONNECTIONS)
        async with http_post(self.host, self.port, self.path) as call:

            async def ask(question: bytes, seconds: float) -> bytes:
                async with asyncio.timeout(seconds), free:
                    return await call(question)

            yield ask

    def ending(self, error: Exception) -> Ending:
        """See `Way`."""
        if isinstance(error, HttpRefused) and error.head.startswith(_REFUSAL_LINES):
            return Ending.REFUSED if b"\r\nretry-after:" in error.head.lower() else Ending.SILENT
        return Ending.FAILED
