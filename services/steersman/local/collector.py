"""A small OpenTelemetry collector: takes OTLP over HTTP, keeps the last traces in memory and shows them.

It stands where a real collector stands in a cluster, so that a trace can be looked at on a machine that has none.
Metrics and logs are accepted and counted only; Prometheus reads the former from each process. With certificates it
speaks TLS and nothing else, and takes from and shows to those only who have one by the same authority.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from steersman.local import spans, traces
from steersman.local.parts import Parts
from steersman.local.probes import http_ok
from steersman.local.processes import Program

_MAX_BODY: Final = 16 * 1024 * 1024
_JSON: Final = "application/json"
_HEALTH: Final = "/healthz"


class Collector:
    """The state and the handlers of one collector."""

    def __init__(self, kept: traces.Traces) -> None:
        self._traces = kept
        self._counts: Counter[str] = Counter()

    def app(self, *, certificates: bool = False) -> web.Application:
        """The HTTP application.

        Args:
            certificates: Whether those who ask for more than health have to have shown one.
        """
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[_known_only] if certificates else [])
        app.add_routes(
            [
                web.post("/v1/traces", self._accept_traces),
                web.post("/v1/metrics", self._count),
                web.post("/v1/logs", self._count),
                web.get(_HEALTH, self._healthy),
                web.get("/counts", self._show_counts),
                web.get("/traces", self._list),
                web.get("/traces/{trace_id}", self._show),
                web.get("/traces/{trace_id}/tree", self._show_tree),
            ]
        )
        return app

    async def _accept_traces(self, request: web.Request) -> web.Response:
        body = await request.read()
        read = spans.from_json if request.content_type == _JSON else spans.from_protobuf
        try:
            received = read(body)
        except spans.Malformed as error:
            return web.json_response({"message": str(error)}, status=400)
        self._counts["spans"] += len(received)
        self._traces.add(received)
        return self._accepted(request)

    async def _count(self, request: web.Request) -> web.Response:
        await request.read()
        self._counts[request.path.rpartition("/")[2]] += 1
        return self._accepted(request)

    def _accepted(self, request: web.Request) -> web.Response:
        """An empty export response, in the encoding of the request."""
        body = b"{}" if request.content_type == _JSON else b""
        return web.Response(body=body, content_type=request.content_type)

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _show_counts(self, _: web.Request) -> web.Response:
        return web.json_response({**self._counts, "dropped_spans": self._traces.dropped})

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"traces": [self._summary(trace_id) for trace_id in self._traces.ids()]})

    def _summary(self, trace_id: str) -> dict[str, object]:
        kept = self._traces.get(trace_id)
        return {"trace_id": trace_id, "root": kept[0].name, "start_ns": kept[0].start_ns, "spans": len(kept)}

    async def _show(self, request: web.Request) -> web.Response:
        kept = self._find(request)
        return web.json_response({"spans": [span.to_json() for span in kept]})

    async def _show_tree(self, request: web.Request) -> web.Response:
        return web.Response(text=traces.as_text(traces.tree(self._find(request))) + "\n")

    def _find(self, request: web.Request) -> list[spans.Span]:
        kept = self._traces.get(request.match_info["trace_id"])
        if not kept:
            raise web.HTTPNotFound(text="no such trace\n")
        return list(kept)


@web.middleware
async def _known_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if not request.get_extra_info("peercert") and request.path != _HEALTH:
        raise web.HTTPForbidden(text="a client certificate is needed\n")
    return await handler(request)


def collector(
    parts: Parts, *, port: int, name: str = "collector", certificates: Path | None = None
) -> Program:
    """A collector as a process of its own.

    Args:
        parts: Where its code is.
        port: Where it listens.
        name: Names the process.
        certificates: A folder of them, in cert-manager's layout; in the clear where None.
    """
    scheme, shown = ("http", ()) if certificates is None else ("https", ("--tls", os.fspath(certificates)))
    return Program(
        name=name,
        argv=(sys.executable, "-m", "steersman.local.collector", "--port", str(port), *shown),
        environment={"PYTHONPATH": os.fspath(parts.services)},
        ready=http_ok(
            f"{scheme}://127.0.0.1:{port}{_HEALTH}",
            ca_file=None if certificates is None else certificates / "ca.crt",
        ),
        stop_seconds=5.0,
    )


def serve(*, host: str, port: int, certificates: Path | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        host: Where to listen.
        port: The same.
        certificates: A folder of them; in the clear where None.
    """
    context = None if certificates is None else _context(certificates)
    app = Collector(traces.Traces()).app(certificates=context is not None)
    web.run_app(
        app, host=host, port=port, ssl_context=context, print=None, access_log=None, shutdown_timeout=1.0
    )


def _context(certificates: Path) -> ssl.SSLContext:
    """Asks for a certificate without insisting, so that whoever has none can ask for health."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    context.load_verify_locations(certificates / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def main() -> None:
    """Serve on the loopback, as the command line says."""
    parser = argparse.ArgumentParser(prog=Path(__file__).stem, description=__doc__)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--tls", type=Path, help="a folder of certificates")
    told = parser.parse_args()
    serve(host="127.0.0.1", port=told.port, certificates=told.tls)


if __name__ == "__main__":
    main()
