"""A line to a server on the loopback interface, which can be made bad in the ways that networks and servers are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from typing import Final

_PIECE: Final = 64 * 1024
_NOISE: Final = 512
HOST: Final = "127.0.0.1"


class Mode(Enum):
    """What becomes of what is sent."""

    PASS = auto()
    SLOW = auto()
    """What the server says comes late."""
    SILENT = auto()
    """Calls are accepted, and nobody answers."""
    RESET = auto()
    """Calls are broken off as soon as the server says anything."""
    STALL = auto()
    """The server's first words come through, and nothing after them."""
    GARBAGE = auto()
    """Random bytes come in place of what the server says."""


class BadLine:
    """Passes bytes between callers and a server, as `mode` says.

    Args:
        port: The server's.
        delay: Seconds by which a slow line is late.
    """

    def __init__(self, port: int, *, delay: float = 0.2) -> None:
        self._target = port
        self._delay = delay
        self._mode = Mode.PASS
        self._changed = asyncio.Event()
        self._chance = random.Random(port)  # noqa: S311 - no secret
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def mode(self) -> Mode:
        """How it is now."""
        return self._mode

    def turn(self, mode: Mode) -> None:
        """Be like this from now on, for calls that are open too; calls that were held are broken off in the end."""
        before, self._mode = self._mode, mode
        self._changed.set()
        self._changed = asyncio.Event()
        if before in {Mode.SILENT, Mode.STALL, Mode.GARBAGE}:
            self.break_off()

    def break_off(self) -> None:
        """End all calls with a reset."""
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one call on."""
        there: asyncio.StreamWriter | None = None
        self._open.add(writer)
        try:
            there_reader, there = await asyncio.open_connection(HOST, self._target)
            self._open.add(there)
            await asyncio.gather(self._ask(reader, there), self._answer(there_reader, writer))
        except OSError:
            pass  # as a network would have it: whoever is left learns it from the end of the line
        finally:
            self._open -= {writer, there} if there else {writer}
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            await self._while(Mode.SILENT)
            writer.write(piece)
            await writer.drain()
        writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stalls = False
        while piece := await reader.read(_PIECE):
            await self._while(Mode.SILENT)
            if stalls:
                await self._while(Mode.STALL)
            stalls = self._mode is Mode.STALL
            if self._mode is Mode.RESET:
                writer.transport.abort()
                return
            if self._mode is Mode.SLOW:
                await asyncio.sleep(self._delay)
            writer.write(self._chance.randbytes(_NOISE) if self._mode is Mode.GARBAGE else piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    async def _while(self, mode: Mode) -> None:
        while self._mode is mode:
            await self._changed.wait()


@asynccontextmanager
async def bad_line(port: int, *, listen: int, delay: float = 0.2) -> AsyncIterator[BadLine]:
    """A line to a port, at one of its own."""
    line = BadLine(port, delay=delay)
    server = await asyncio.start_server(line.serve, HOST, listen)
    line.port = listen
    try:
        yield line
    finally:
        server.close()
        line.turn(Mode.PASS)
        line.break_off()
