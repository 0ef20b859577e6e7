"""Whose certificates an engine may have, when the file that says so changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from steersman.local.authority import LOCAL, Authority
from steersman.openai_api.client import EngineClient
from steersman.runtime.errors import Unavailable
from steersman.runtime.watched_file import NotUsable

OLD, NEW = Authority("old"), Authority("new")


@dataclass
class Private:
    """An engine by HTTPS, each of whose connections is for one request, and who follows its authorities."""

    folder: Path
    url: str
    context: ssl.SSLContext
    told: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    @property
    def ca_file(self) -> Path:
        return self.folder / "trusted.crt"

    def client(self) -> EngineClient:
        return EngineClient(url=self.url, ca_file=self.ca_file, on_reload=self.told.put_nowait)

    def be(self, authority: Authority) -> bytes:
        """Have a certificate by this authority; gives that one's own."""
        folder = authority.issue("engine", LOCAL).write(self.folder / "engine")
        self.context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return (folder / "ca.crt").read_bytes()


async def props(client: EngineClient) -> Any:
    return await client.get_json("/props", timeout=5)


@asynccontextmanager
async def private(folder: Path) -> AsyncIterator[Private]:
    async def answer(_: web.Request) -> web.Response:
        response = web.json_response({"total_slots": 1})
        response.force_close()
        return response

    app = web.Application()
    app.router.add_get("/props", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    engine = Private(folder, "", context)
    engine.ca_file.write_bytes(engine.be(OLD))
    try:
        await web.TCPSite(runner, LOCAL, 0, ssl_context=context).start()
        engine.url = f"https://{LOCAL}:{runner.addresses[0][1]}"
        yield engine
    finally:
        await runner.cleanup()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Private]:
    async with private(tmp_path) as engine:
        yield engine


async def test_a_changed_file_counts_for_the_next_connection(engine: Private) -> None:
    async with engine.client() as client:
        assert await props(client) == {"total_slots": 1}
        new = engine.be(NEW)
        with pytest.raises(Unavailable):
            await props(client)
        engine.ca_file.write_bytes(new)
        assert await asyncio.wait_for(engine.told.get(), 10) == "taken"
        assert await props(client) == {"total_slots": 1}


@pytest.mark.parametrize("text", [b"", b"no certificate", b"\xff\xfe"])
async def test_a_file_without_certificates_is_refused_and_the_one_before_counts(
    engine: Private, text: bytes
) -> None:
    async with engine.client() as client:
        engine.ca_file.write_bytes(text)
        assert await asyncio.wait_for(engine.told.get(), 10) == "refused"
        assert await props(client) == {"total_slots": 1}


@pytest.mark.parametrize("text", [b"", b"no certificate"])
async def test_at_the_start_there_has_to_be_one(engine: Private, text: bytes) -> None:
    engine.ca_file.write_bytes(text)
    with pytest.raises(NotUsable, match="there are no certificates in it that can be used"):
        await engine.client().__aenter__()
