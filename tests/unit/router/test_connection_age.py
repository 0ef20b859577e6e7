"""A kept connection to the HTTP API ends once it is old, and no request with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from fakes.clock import FakeClock
from steersman.router.http_door import Door
from steersman.router.http_server import serving as behind


@asynccontextmanager
async def serving(clock: FakeClock) -> AsyncIterator[str]:
    """A server whose connections grow old at 10 seconds; answers with the port of its caller."""

    async def port(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    application = web.Application()
    application.router.add_get("/", port)
    door = Door(lets_in=lambda: True, on_turned_away=lambda: None, max_age_seconds=10.0, clock=clock)
    application.on_response_prepare.append(door.end_if_old)
    async with behind(web.AppRunner(application), door, "127.0.0.1:0", None) as address:
        yield f"http://{address}"


async def ask(session: aiohttp.ClientSession, url: str) -> tuple[str, bool]:
    """The port that the request came from, and whether the connection was to end."""
    async with session.get(url) as response:
        return await response.text(), response.headers.get("Connection") == "close"


async def test_a_young_connection_is_kept() -> None:
    clock = FakeClock()
    async with serving(clock) as url, aiohttp.ClientSession() as session:
        first = await ask(session, url)
        clock.advance(5)
        assert await ask(session, url) == first == (first[0], False)


async def test_an_old_connection_ends_with_its_response_and_the_next_request_has_another() -> None:
    clock = FakeClock()
    async with serving(clock) as url, aiohttp.ClientSession() as session:
        first, _ = await ask(session, url)
        clock.advance(11)
        assert await ask(session, url) == (first, True)
        again, ends = await ask(session, url)
        assert (again == first, ends) == (False, False)
