from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from steersman.cli.__main__ import main


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """The URL of what answers every question with this."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    application = web.Application()
    application.router.add_get("/v1/decisions/any", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def explained(body: bytes) -> int:
    async with answering(body) as url:
        return await asyncio.to_thread(main, ["explain", "any", "--url", url])


async def test_an_explanation_is_read_to_its_end_however_many_pieces_it_comes_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sentence = "Tier weak was chosen. " * 40_000  # more than a socket gives at once
    assert await explained(b'{"sentence": "%b"}' % sentence.encode()) == 0
    assert sentence.strip() in capsys.readouterr().out


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b'["sentence"]', id="no object"),
        pytest.param(b'{"sentence": "%b"}' % (b"x" * 2_000_000), id="too long"),
    ],
)
async def test_what_no_router_would_answer_is_said_to_be_of_none(
    body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await explained(body) == 1
    assert "what answers there is no router of Steersman" in capsys.readouterr().err
