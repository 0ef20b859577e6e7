from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest_asyncio
from benchmarks import mock_engine
from benchmarks.clients import content_length, http_post
from benchmarks.measures import requests

from steersman.openai_api.client import EngineClient, Timeouts

PATIENCE = Timeouts(first_byte=5.0, idle=5.0, whole=5.0)


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    answers = mock_engine.Answers(chunks=3, interval_seconds=0.0)
    server = await asyncio.get_running_loop().create_server(
        partial(mock_engine.Connection, answers), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_product_reads_its_answers(port: int) -> None:
    async with EngineClient(url=f"http://127.0.0.1:{port}") as client:
        body = requests.http("Hello")
        answer = await client.complete(body, timeouts=PATIENCE)

    assert answer == mock_engine.completion()


async def test_the_product_reads_its_streams(port: int) -> None:
    async with EngineClient(url=f"http://127.0.0.1:{port}") as client:
        body = requests.http("Hello", stream=True)
        read = [chunk async for part in client.generate(body, timeouts=PATIENCE) for chunk in part]

    assert read[:3] == [mock_engine.chunk(f"word{number} ") for number in range(3)]
    assert len(read) == 5


async def test_the_generators_client_keeps_its_connections(port: int) -> None:
    async with http_post("127.0.0.1", port, requests.HTTP_PATH) as ask:
        answers = [await ask(requests.http("Hello")) for _ in range(3)]

    assert answers == [mock_engine.completion()] * 3


def test_the_length_of_a_body_is_found_whatever_its_header_is_written_like() -> None:
    assert content_length(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncOntent-Length: 42") == 42
    assert content_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked") is None
