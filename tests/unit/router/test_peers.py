"""Both APIs tell the same of a certificate: its subject is rendered here for HTTP, and by gRPC itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web

from steersman.identity.shown import Peer
from steersman.local.authority import LOCAL, Authority, Issued
from steersman.router import peers
from steersman.runtime import tls
from steersman.runtime.settings import Tls

OURS = Authority()
WEB = "spiffe://cluster.local/ns/search/sa/web"


@dataclass
class Seen:
    """What either API saw of who asked last."""

    rpc: str = ""
    http: str = ""
    peers: list[Peer | None] = field(default_factory=list)

    async def by_grpc(self, _request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        self.peers.append(peers.of_rpc(context))
        return b""

    async def by_http(self, request: web.Request) -> web.Response:
        self.peers.append(peers.of_request(request))
        return web.Response()

    async def ask(self, issued: Issued, folder: Path) -> list[Peer | None]:
        """Ask both."""
        async with grpc.aio.secure_channel(self.rpc, issued.credentials) as channel:
            method: Any = channel.unary_unary("/any/any")
            await method(b"", timeout=5)
        connector = aiohttp.TCPConnector(ssl=issued.context(folder))
        async with aiohttp.ClientSession(connector=connector) as session, session.get(self.http):
            return self.peers


@asynccontextmanager
async def listening(folder: Path, *, verify: bool = True) -> AsyncIterator[Seen]:
    seen = Seen()
    settings = Tls(folder=OURS.issue(LOCAL).write(folder), verify_clients=verify)
    async with tls.opened(settings, on_reload=lambda _: None) as wire:
        server = grpc.aio.server()
        handler = grpc.method_handlers_generic_handler(
            "any", {"any": grpc.unary_unary_rpc_method_handler(seen.by_grpc)}
        )
        server.add_generic_rpc_handlers((handler,))
        seen.rpc = f"{LOCAL}:{wire.listen(server, f'{LOCAL}:0')}"
        await server.start()
        app = web.Application()
        app.router.add_get("/", seen.by_http)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, LOCAL, 0, ssl_context=wire.server_context()).start()
        seen.http = f"https://{LOCAL}:{runner.addresses[0][1]}/"
        yield seen
        await runner.cleanup()
        await server.stop(None)


@pytest.mark.parametrize(
    ("organisation", "subject"),
    [
        (None, "CN=web"),
        ("Search", "CN=web,O=Search"),
        ("Mail, Inc", "CN=web,O=Mail\\, Inc"),
        ('a+b=c;d<e>"f"\\g', 'CN=web,O=a\\+b=c\\;d\\<e\\>\\"f\\"\\\\g'),
        (" spaces # ", "CN=web,O=\\ spaces #\\ "),
        ("#first", "CN=web,O=\\#first"),
        ("Müller", "CN=web,O=M\\C3\\BCller"),
        ("a,CN=root", "CN=web,O=a\\,CN=root"),
    ],
)
async def test_a_subject_and_uris_are_the_same_over_both(
    tmp_path: Path, organisation: str | None, subject: str
) -> None:
    issued = OURS.issue("web.search", uris=[WEB], common_name="web", organisation=organisation)
    async with listening(tmp_path / "server") as seen:
        by_grpc, by_http = await seen.ask(issued, tmp_path / "client")
    assert by_grpc == by_http == Peer((WEB,), subject)


async def test_where_nobody_is_verified_nobody_is_known(tmp_path: Path) -> None:
    async with listening(tmp_path / "server", verify=False) as seen:
        shown = await seen.ask(OURS.issue(uris=[WEB]), tmp_path / "client")
    assert shown == [None, None]
