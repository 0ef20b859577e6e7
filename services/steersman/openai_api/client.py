"""The client for engines: anything that serves OpenAI's chat completions over HTTP.

Decided here: a stream is complete after `[DONE]`, or at its end where a chunk had named a `finish_reason` (some
engines send no `[DONE]`); any other end is an error. Until the first chunk, every error is one after which another
engine may be asked (Unavailable, Overloaded) or the engine's own no (Refused); after it, every error is BrokenOff.
aiohttp stays inside this module, and neither the URL nor the key leaves it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from yarl import URL

from steersman import __version__
from steersman.openai_api import refusals
from steersman.openai_api.authorities import Authorities
from steersman.openai_api.sse import EventParser, OversizedEventError
from steersman.runtime.errors import BrokenOff, Error, Unavailable

_MEBIBYTE: Final = 1024 * 1024
_MAX_ERROR_BYTES: Final = 64 * 1024
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_KEEPALIVE_SECONDS: Final = 4.0
"""Below the 5 s after which llama.cpp and uvicorn (vLLM) close an idle connection."""
_STALE_SECONDS: Final = 0.5
"""A kept connection that the engine had closed meanwhile shows itself this soon."""
_LINGER_SECONDS: Final = 0.05
"""How long the end of a complete response is waited for, so that its connection can be used again."""
_FINISHED: Final = re.compile(rb'"finish_reason"\s*:\s*"')
_NO_CHOICES: Final = re.compile(rb'"choices":\s*\[\s*\]')
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an engine may take, in seconds."""

    first_byte: float
    """Until the first chunk of a streamed answer."""
    idle: float
    """Between two chunks of a streamed answer; comments by which a gateway says that it lives are none."""
    whole: float
    """For an answer that is not streamed, which says nothing until it is complete."""


class EngineClient:
    """Asks one engine; owns its connections while the context lasts.

    Args:
        url: Where the engine is. `http://host:8000`, `https://host/v1` and `https://host/any/path/chat/completions`
            all work: `/v1` is added where it is missing, and a full path of chat completions is taken as it stands.
        api_key: Sent as a bearer token.
        ca_file: Whose certificates it may have, where it is `https`; followed while the context lasts. The system's
            authorities where not given.
        on_reload: Told whether that file, when it changed, was `taken` or `refused`.
        connect_timeout: Seconds to look up the name and connect.
        max_body_bytes: Size of an answer that is not streamed, above which it is given up.
        max_event_bytes: The same for one event of a stream.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: str | None = None,
        ca_file: Path | None = None,
        on_reload: Callable[[str], None] = lambda _: None,
        connect_timeout: float = 2.0,
        max_body_bytes: int = 64 * _MEBIBYTE,
        max_event_bytes: int = 4 * _MEBIBYTE,
    ) -> None:
        self._root, self._chat = _urls(url)
        self._headers = {
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"steersman/{__version__}",
        }
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._authorities = Authorities(ca_file, on_reload)
        self._connect_timeout = connect_timeout
        self._max_body_bytes = max_body_bytes
        self._max_event_bytes = max_event_bytes
        self._kept_until = 0.0
        self._open: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self._authorities.__aenter__()
        self._open = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            skip_auto_headers=("Accept",),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._authorities.__aexit__(kind, error, trace)
        await self._session.close()
        self._open = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the engine, for spans."""
        return self._root.host or "", self._root.port or 0

    async def generate(
        self, body: bytes, *, timeouts: Timeouts, headers: Mapping[str, str] = _NO_HEADERS
    ) -> AsyncGenerator[list[bytes], None]:
        """Have an answer generated, as a stream.

        Closing the generator, or cancelling who waits for it, closes the connection at once, by which an engine
        knows to stop.

        Args:
            body: The JSON of a chat completion request, which asks for a stream.
            timeouts: How long to wait for what.
            headers: Further headers, such as `traceparent`.

        Yields:
            The chunks that came with one read of the connection, at least one.

        Raises:
            Refused: The engine says that the request is wrong.
            Overloaded: It has no room.
            Unavailable: It cannot be reached, failed, or did not begin in time; nothing was yielded.
            BrokenOff: It failed or stalled after the first chunk.
        """
        response: aiohttp.ClientResponse | None = None
        begun = False
        try:
            async with asyncio.timeout(timeouts.first_byte):
                response = await self._send("POST", self._chat, body=body, headers=headers)
                await self._check(response, "text/event-stream")
                events = _Events(response.content, self._max_event_bytes)
                chunks = await events.read()
            begun = True
            while chunks:
                yield chunks
                async with asyncio.timeout(timeouts.idle):
                    chunks = await events.read()
            await self._keep(response)
        except (aiohttp.ClientError, OSError, OversizedEventError) as error:
            raise (_after if begun else _before)(error) from error
        finally:
            if response is not None:
                response.close()

    async def complete(
        self, body: bytes, *, timeouts: Timeouts, headers: Mapping[str, str] = _NO_HEADERS
    ) -> bytes:
        """Have an answer generated as a whole; gives it as the engine sent it.

        Cancelling who waits for it closes the connection at once, as above.

        Args:
            body: The JSON of a chat completion request, which asks for no stream.
            timeouts: How long to wait.
            headers: Further headers, such as `traceparent`.

        Raises:
            Refused, Overloaded, Unavailable: As for `generate`.
        """
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(timeouts.whole):
                response = await self._send("POST", self._chat, body=body, headers=headers)
                await self._check(response, "application/json")
                return await self._whole(response)
        except (aiohttp.ClientError, OSError) as error:
            raise _before(error) from error
        finally:
            if response is not None:
                response.close()

    async def get_json(self, path: str, *, timeout: float) -> Any:  # noqa: ASYNC109 - mapped here to our errors
        """What the engine says at a path below its root, such as `/v1/models`.

        Args:
            path: From the root, with `/v1` where it belongs.
            timeout: Seconds for all of it.

        Raises:
            Refused: There is no such path, or it is not for us.
            Overloaded, Unavailable: As for `generate`.
        """
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(timeout):
                response = await self._send("GET", self._root.joinpath(path.lstrip("/")))
                await self._check(response, "application/json")
                return orjson.loads(await self._read(response, self._max_body_bytes))
        except orjson.JSONDecodeError as error:
            raise _garbage() from error
        except (aiohttp.ClientError, OSError) as error:
            raise _before(error) from error
        finally:
            if response is not None:
                response.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            raise RuntimeError("an EngineClient is used inside its context")
        return self._open

    async def _send(
        self, method: str, url: URL, *, body: bytes | None = None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> aiohttp.ClientResponse:
        """Send a request; once more where the connection was an old one that the engine had closed."""
        loop = asyncio.get_running_loop()
        started, kept_until = loop.time(), self._kept_until

        def request() -> Awaitable[aiohttp.ClientResponse]:
            return self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False, ssl=self._authorities.context
            )

        try:
            return await request()
        except (
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientConnectionResetError,
            aiohttp.ClientOSError,
        ) as error:
            if isinstance(error, aiohttp.ClientConnectorError) or started >= kept_until:
                raise
            if loop.time() - started > _STALE_SECONDS:
                raise
            return await request()

    async def _check(self, response: aiohttp.ClientResponse, content_type: str) -> None:
        if response.status != _OK:
            body = await self._read(response, _MAX_ERROR_BYTES, cut=True)
            raise refusals.from_status(response.status, body, response.headers.get("Retry-After"))
        if not response.headers.get("Content-Type", "").startswith(content_type):
            raise _garbage()

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        body = await self._read(response, self._max_body_bytes)
        if not (body.lstrip()[:1] == b"{" and body.rstrip()[-1:] == b"}"):
            raise _garbage()
        if error := refusals.in_payload(body):
            raise error
        if b'"choices"' not in body:
            raise _garbage()
        return body

    async def _read(self, response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
        """A body up to a limit, above which it is cut or given up."""
        content = response.content
        body = await content.readany()
        if not content.at_eof():
            grown = bytearray(body)
            while len(grown) <= limit and not content.at_eof():
                grown += await content.readany()
            body = bytes(grown)
        if len(body) > limit and not cut:
            raise _garbage()
        self._note_kept(response)
        return body[:limit]

    async def _keep(self, response: aiohttp.ClientResponse) -> None:
        """Give the connection of a complete stream the chance to be used again; what fails now is no failure."""
        content = response.content
        with suppress(aiohttp.ClientError, OSError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not content.at_eof():
                    await content.readany()
        self._note_kept(response)

    def _note_kept(self, response: aiohttp.ClientResponse) -> None:
        """Remember that a connection is kept, if this response has come to its end."""
        if response.content.at_eof():
            self._kept_until = asyncio.get_running_loop().time() + _KEEPALIVE_SECONDS


class _Events:
    """The chunks of one streamed response."""

    __slots__ = ("_before_last", "_content", "_error", "_last", "_parser")

    def __init__(self, content: aiohttp.StreamReader, max_event_bytes: int) -> None:
        self._content = content
        self._parser = EventParser(max_event_bytes=max_event_bytes)
        self._before_last: list[bytes] = []
        self._last: list[bytes] = []
        self._error: Error | None = None

    async def read(self) -> list[bytes]:
        """The chunks of the next read that completes one; none after the last.

        Raises:
            Error: The engine reported an error, or ended the stream too early.
        """
        while self._error is None:
            if self._parser.done:
                return []
            data = await self._content.readany()
            if not data:
                self._check_end()
                return []
            if chunks := self._without_error(self._parser.feed(data)):
                self._before_last, self._last = self._last, chunks
                return chunks
        raise self._error

    def _without_error(self, chunks: list[bytes]) -> list[bytes]:
        """The chunks before one that is an error, which is kept for the next read."""
        for index, chunk in enumerate(chunks):
            if (error := refusals.in_payload(chunk)) is not None:
                begun = index or self._last
                self._error = _broken_off(error) if begun else error
                return chunks[:index]
        return chunks

    def _check_end(self) -> None:
        self._parser.end()
        if self._parser.done or self._has_finished():
            return
        message = "the engine ended its answer early"
        raise BrokenOff(message) if self._last else Unavailable(message, reason=refusals.BROKE_OFF)

    def _has_finished(self) -> bool:
        """Whether the last chunk with choices ends one: where there are several, one that has ended tells nothing."""
        chunks = (*self._before_last, *self._last)
        last = next((chunk for chunk in reversed(chunks) if not _NO_CHOICES.search(chunk)), b"")
        return _FINISHED.search(last) is not None


def _urls(url: str) -> tuple[URL, URL]:
    """An engine's root, under which `/props` and `/v1/models` are, and its path for chat completions."""
    given = url.rstrip("/")
    root = URL(given.removesuffix("/chat/completions").removesuffix("/v1"))
    if given.endswith("/chat/completions"):
        return root, URL(given)
    return root, root.joinpath("v1/chat/completions")


def _garbage() -> Unavailable:
    return Unavailable("the engine sent something that is no answer", reason=refusals.GARBAGE)


def _broken_off(error: Error) -> BrokenOff:
    return BrokenOff(error.message, reason=error.reason)


def _before(error: Exception) -> Unavailable:
    """What an error of the connection means while nothing has been handed out; first match wins."""
    for kinds, message, reason in _MEANINGS:
        if isinstance(error, kinds):
            return Unavailable(message, reason=reason)
    return Unavailable("the engine cannot be reached", reason=refusals.UNREACHABLE)


def _after(error: Exception) -> BrokenOff:
    """The same, once part of the answer has been handed out."""
    if isinstance(error, TimeoutError):
        return BrokenOff("the engine stopped answering", reason=refusals.STALLED)
    if isinstance(error, OversizedEventError):
        return BrokenOff("the engine sent something that is no answer", reason=refusals.GARBAGE)
    return BrokenOff("the engine broke off its answer")


_MEANINGS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...]] = (
    (aiohttp.ConnectionTimeoutError, "the engine cannot be reached", refusals.UNREACHABLE),
    (TimeoutError, "the engine did not begin its answer in time", refusals.TIMEOUT),
    (aiohttp.ClientPayloadError, "the engine broke off its answer", refusals.BROKE_OFF),
    (
        (aiohttp.ClientResponseError, OversizedEventError),
        "the engine sent something that is no answer",
        refusals.GARBAGE,
    ),
)
