from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest

from fakes.data_home import DataHome
from steersman.classifier.datasets import download
from steersman.classifier.datasets.download import Downloader, Patience
from steersman.classifier.errors import FetchError

CONTENT = bytes(range(256)) * 800
QUICK = Patience(connect_seconds=5, read_seconds=5, total_seconds=10, attempts=3, first_wait_seconds=1)


class Asking:
    """A downloader, how long it waited, and how many bytes it told of."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.told = 0
        self.downloader: Downloader

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def count(self, more: int) -> None:
        self.told += more

    async def get(self, url: str, *, most_bytes: int = len(CONTENT)) -> bytes:
        return await self.downloader.get(url, most_bytes=most_bytes, on_bytes=self.count)


@asynccontextmanager
async def asking(patience: Patience = QUICK) -> AsyncIterator[Asking]:
    asks = Asking()
    async with Downloader(patience, wait=asks.wait) as asks.downloader:
        yield asks


async def test_a_file_comes_whole_and_progress_tells_its_bytes(home: DataHome) -> None:
    home.files["/a.csv"] = CONTENT
    async with asking() as asks:
        assert await asks.get(f"{home.url}/a.csv") == CONTENT
    assert asks.told == len(CONTENT)
    assert asks.waits == []


async def test_a_redirect_is_followed(home: DataHome) -> None:
    home.files["/there"] = CONTENT
    home.redirects["/here"] = f"{home.url}/there"
    async with asking() as asks:
        assert await asks.get(f"{home.url}/here") == CONTENT


async def test_what_is_not_there_is_asked_for_once(home: DataHome) -> None:
    async with asking() as asks:
        with pytest.raises(FetchError, match=r"answers 404 .*--from URL"):
            await asks.get(f"{home.url}/missing")
    assert home.asked["/missing"] == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_home_that_is_busy_is_asked_again_later_and_later(home: DataHome, status: int) -> None:
    home.files["/a"] = CONTENT
    home.statuses["/a"] = [status, status]
    async with asking() as asks:
        assert await asks.get(f"{home.url}/a") == CONTENT
    assert asks.waits == [1, 2]


async def test_a_home_that_stays_busy_is_given_up(home: DataHome) -> None:
    home.statuses["/a"] = [503] * 9
    async with asking() as asks:
        with pytest.raises(FetchError, match=r"answers 503 .*tried 3 times"):
            await asks.get(f"{home.url}/a")
    assert home.asked["/a"] == 3


async def test_a_download_that_was_cut_begins_anew(home: DataHome) -> None:
    home.files["/a"] = CONTENT
    home.cut["/a"] = 1
    async with asking() as asks:
        assert await asks.get(f"{home.url}/a") == CONTENT
    assert asks.told == len(CONTENT)


async def test_a_download_that_is_always_cut_is_no_file(home: DataHome) -> None:
    home.files["/a"] = CONTENT
    home.cut["/a"] = 9
    async with asking() as asks:
        with pytest.raises(FetchError, match="breaks off in the middle"):
            await asks.get(f"{home.url}/a")
    assert asks.told == 0


async def test_a_server_that_falls_silent_is_not_waited_for(home: DataHome) -> None:
    home.files["/a"] = CONTENT
    home.stalled.add("/a")
    async with asking(dataclasses.replace(QUICK, read_seconds=0.1, attempts=2)) as asks:
        with pytest.raises(FetchError, match=r"does not answer in time \(tried 2 times\)"):
            await asks.get(f"{home.url}/a")


async def test_a_server_that_sends_a_byte_at_a_time_is_not_waited_for_either(home: DataHome) -> None:
    home.files["/a"] = CONTENT
    home.dribbled.add("/a")
    async with asking(dataclasses.replace(QUICK, total_seconds=0.2, attempts=1)) as asks:
        with pytest.raises(FetchError, match="does not answer in time"):
            await asks.get(f"{home.url}/a")


@pytest.mark.parametrize("unsized", [False, True])
async def test_a_file_that_is_too_large_is_not_taken(home: DataHome, unsized: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    home.files["/a"] = CONTENT
    if unsized:
        home.unsized.add("/a")
    async with asking() as asks:
        with pytest.raises(FetchError, match="larger than the 100 bytes"):
            await asks.get(f"{home.url}/a", most_bytes=100)
    assert home.asked["/a"] == 1


async def test_a_circle_of_redirects_ends(home: DataHome) -> None:
    home.redirects["/a"] = "/a"
    async with asking() as asks:
        with pytest.raises(FetchError, match="redirects more than 5 times"):
            await asks.get(f"{home.url}/a")


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://example.org/a"])
async def test_a_redirect_leads_nowhere_but_to_the_web(home: DataHome, target: str) -> None:
    home.redirects["/a"] = target
    async with asking() as asks:
        with pytest.raises(FetchError, match="no HTTP or HTTPS address; not followed"):
            await asks.get(f"{home.url}/a")


async def test_a_home_that_cannot_be_reached_says_what_to_do(nobody: str) -> None:
    async with asking() as asks:
        with pytest.raises(
            FetchError, match=r"cannot be reached .*tried 3 times.*HTTPS_PROXY.*docs/data\.md"
        ):
            await asks.get(f"{nobody}/a")
    assert asks.waits == [1, 2]


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://example.org/a", "a.csv", "http://", "http://["]
)
async def test_only_addresses_of_the_web_are_asked(url: str) -> None:
    async with asking() as asks:
        with pytest.raises(FetchError):
            await asks.get(url)


def test_a_redirect_from_https_to_http_is_not_taken() -> None:
    secure, plain = (SimpleNamespace(scheme=scheme) for scheme in ("https", "http"))
    response = SimpleNamespace(history=[SimpleNamespace(url=secure)], url=plain, status=200, content_length=1)
    with pytest.raises(FetchError, match="from HTTPS to HTTP"):
        download._check(cast("aiohttp.ClientResponse", response), "https://home.example/a", 100)


def test_the_library_is_not_leaked() -> None:
    assert not issubclass(FetchError, aiohttp.ClientError)
