"""A Kubernetes API server as far as bytes go: answers what a test has put down, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from aiohttp import web

TOKEN = "token-of-the-test"  # noqa: S105 - nobody's


@dataclass
class FakeApiServer:
    """Answers every request alike; its knobs are plain attributes.

    Attributes:
        status: HTTP status of the answer.
        pieces: Its body; it is sent piece by piece.
        breaks_off: Whether the connection is lost after them.
        asked: Method, path with query, and body of each request, in their order.
        tokens: What callers identified themselves with.
    """

    status: int = 200
    pieces: Sequence[bytes] = (b"{}",)
    breaks_off: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The answer to any request."""
        self.asked.append((request.method, request.path_qs, await request.text()))
        self.tokens.append(request.headers.get("Authorization", ""))
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        if self.breaks_off and request.transport is not None:
            request.transport.abort()
        return response


@asynccontextmanager
async def fake_api_server(folder: Path) -> AsyncIterator[tuple[FakeApiServer, Path]]:
    """A server on the loopback interface, and a kubeconfig that leads to it."""
    server = FakeApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield server, kubeconfig(folder, f"http://{host}:{port}")
    finally:
        await runner.cleanup()


def kubeconfig(folder: Path, url: str) -> Path:
    """A kubeconfig for a server."""
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path
