"""Files over HTTP, whole or not at all. The one module that knows the client library.

A home that is away for a moment is asked again, a few times and later each time; what will not change by asking again
(404, a refusal, too many bytes, another protocol) ends at once. No file is larger than it may be, and no wait is
without an end, not even on a server that sends one byte a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from steersman.classifier.errors import FetchError

WHAT_TO_DO: Final = (
    "check the network and the proxy (HTTPS_PROXY), take a mirror with --from URL, or put the files there yourself "
    "(docs/data.md)"
)

_CHUNK: Final = 1 << 16
_REDIRECTS: Final = 5
_AGAIN: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers that may be others a moment later."""

OnBytes = Callable[[int], None]
"""Told how many bytes more are there; below zero when a download starts again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what. The defaults suit the public internet."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    """Between two pieces of a file."""
    total_seconds: float = 900.0
    """For one attempt at one file."""
    attempts: int = 4
    first_wait_seconds: float = 1.0
    """Before the second attempt; twice as long before each one after."""


class _Passing(Exception):
    """It may succeed when asked again."""


class Downloader:
    """Downloads files; the connections live as long as its context.

    Args:
        patience: How long it waits.
        wait: Waits between two attempts.
    """

    def __init__(
        self, patience: Patience | None = None, *, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._patience = patience or Patience()
        self._wait = wait
        # Opened in `__aenter__`: aiohttp wants a running loop.
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        patience = self._patience
        self._session = aiohttp.ClientSession(
            trust_env=True,  # proxies
            headers={"Accept-Encoding": "identity", "User-Agent": "steersman"},
            timeout=aiohttp.ClientTimeout(
                total=patience.total_seconds,
                sock_connect=patience.connect_seconds,
                sock_read=patience.read_seconds,
            ),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str, *, most_bytes: int, on_bytes: OnBytes) -> bytes:
        """Download one file.

        Args:
            url: HTTP or HTTPS.
            most_bytes: A file above that is not taken.
            on_bytes: Told of progress.

        Raises:
            FetchError: It cannot be had; the message says why and what to do.
        """
        check_url(url)
        patience = self._patience
        for attempt in range(patience.attempts):
            try:
                return await self._attempt(url, most_bytes, on_bytes)
            except _Passing as passing:
                if attempt + 1 == patience.attempts:
                    tried = f"tried {patience.attempts} times"
                    raise FetchError(f"{url} {passing} ({tried}): {WHAT_TO_DO}") from passing.__cause__
                await self._wait(patience.first_wait_seconds * 2**attempt)
        raise AssertionError("unreachable: at least one attempt is made")

    async def _attempt(self, url: str, most_bytes: int, on_bytes: OnBytes) -> bytes:
        if self._session is None:
            raise RuntimeError("the downloader has not been entered")
        content = bytearray()
        try:
            with _translated(url):
                async with self._session.get(url, max_redirects=_REDIRECTS) as response:
                    _check(response, url, most_bytes)
                    async for piece in response.content.iter_chunked(_CHUNK):
                        content += piece
                        on_bytes(len(piece))
                        _check_size(len(content), url, most_bytes)
        except BaseException:
            on_bytes(-len(content))
            raise
        return bytes(content)


def check_url(url: str) -> None:
    """Refuse what is no address of a file on the web.

    Raises:
        FetchError: It is not.
    """
    try:
        parsed = urlsplit(url)
    except ValueError as error:
        raise FetchError(f"'{url}' is no URL") from error
    if parsed.scheme not in {"http", "https"} or not parsed.hostname:
        raise FetchError(f"'{url}' is no HTTP or HTTPS address; nothing else is fetched from")


def _check(response: aiohttp.ClientResponse, url: str, most_bytes: int) -> None:
    hops = [each.url for each in (*response.history, response)]
    if hops[0].scheme == "https" and any(hop.scheme != "https" for hop in hops):
        raise FetchError(
            f"{url} redirects from HTTPS to HTTP, which anybody on the way can change; not taken"
        )
    if response.status in _AGAIN:
        raise _Passing(f"answers {response.status} {response.reason}")
    if response.status != HTTPStatus.OK:
        raise FetchError(f"{url} answers {response.status} {response.reason}: {WHAT_TO_DO}")
    _check_size(response.content_length or 0, url, most_bytes)


def _check_size(size: int, url: str, most_bytes: int) -> None:
    if size > most_bytes:
        raise FetchError(
            f"{url} is larger than the {most_bytes:,} bytes that it may have; it is another file"
        )


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """The library's errors as this product's."""
    try:
        yield
    except aiohttp.TooManyRedirects as error:
        raise FetchError(f"{url} redirects more than {_REDIRECTS} times: {WHAT_TO_DO}") from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise FetchError(f"{url} redirects to what is no HTTP or HTTPS address; not followed") from error
    except aiohttp.ClientSSLError as error:
        raise FetchError(f"{url} has no trusted certificate: {WHAT_TO_DO}") from error
    except TimeoutError as error:
        raise _Passing("does not answer in time") from error
    except aiohttp.ClientPayloadError as error:
        raise _Passing("breaks off in the middle") from error
    except aiohttp.ClientConnectorError as error:
        raise _Passing(f"cannot be reached ({error.os_error.strerror or error.os_error})") from error
    except aiohttp.ClientError as error:
        raise _Passing(f"cannot be fetched ({type(error).__name__})") from error
