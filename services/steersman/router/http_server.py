"""The HTTP listener: many connections are taken up at once, and each goes through the door."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from steersman.router.http_door import Door
from steersman.runtime.addresses import joined, split_address
from steersman.runtime.tasks import BackgroundTasks

_BACKLOG: Final = 1024
"""Connections that wait to be taken up."""
_TAKEN_UP: Final = 16
"""Connections that are taken up in one turn of the loop."""


@asynccontextmanager
async def serving(
    runner: web.AppRunner, door: Door, address: str, context: ssl.SSLContext | None
) -> AsyncIterator[str]:
    """An application behind the door, served while the context lasts; responses in progress end when it is left.

    Args:
        runner: Of the application.
        door: Before it.
        address: HOST:PORT, where 0 is any free port.
        context: For TLS; in the clear without.

    Yields:
        HOST:PORT.

    Raises:
        OSError: The address cannot be listened on.
    """
    host, port = split_address(address)
    await runner.setup()
    try:
        assert runner.server is not None  # noqa: S101 - it has just been set up
        servers = await _listening(door.before(runner.server), host, int(port), context)
        try:
            async with BackgroundTasks() as tasks:
                tasks.start("silent connections", door.keep_silence_out)
                yield joined(*servers[0].sockets[0].getsockname()[:2])
        finally:
            for server in servers:
                server.close()
            door.close()
    finally:
        await runner.cleanup()


async def _listening(
    made: Callable[[], asyncio.Protocol], host: str, port: int, context: ssl.SSLContext | None
) -> list[asyncio.Server]:
    """Servers on the same sockets: in a turn of its loop, each takes up one connection (libuv from 1.45 on).

    Where turns are long, callers would wait for as many turns as there are connections before theirs.
    """
    loop = asyncio.get_running_loop()
    first = await loop.create_server(made, host, port, ssl=context, backlog=_BACKLOG)
    return [first] + [
        await loop.create_server(
            made, sock=socket.socket(fileno=os.dup(sock.fileno())), ssl=context, backlog=_BACKLOG
        )
        for sock in first.sockets
        for _ in range(_TAKEN_UP - 1)
    ]
