"""A small OpenTelemetry collector: takes OTLP over HTTP, keeps the last traces in memory and shows them.

It stands where a real collector stands in a cluster, so that a trace can be looked at on a machine that has none.
Metrics and logs are accepted and counted only; Prometheus reads the former from each process.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from aiohttp import web

from steersman.local import spans, traces
from steersman.local.parts import Parts
from steersman.local.probes import http_ok
from steersman.local.processes import Program

_MAX_BODY: Final = 16 * 1024 * 1024
_JSON: Final = "application/json"


class Collector:
    """The state and the handlers of one collector."""

    def __init__(self, kept: traces.Traces) -> None:
        self._traces = kept
        self._counts: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.add_routes(
            [
                web.post("/v1/traces", self._accept_traces),
                web.post("/v1/metrics", self._count),
                web.post("/v1/logs", self._count),
                web.get("/healthz", self._healthy),
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


def collector(parts: Parts, *, port: int, name: str = "collector") -> Program:
    """A collector as a process of its own."""
    return Program(
        name=name,
        argv=(sys.executable, "-m", "steersman.local.collector", "--port", str(port)),
        environment={"PYTHONPATH": os.fspath(parts.services)},
        ready=http_ok(f"http://127.0.0.1:{port}/healthz"),
        stop_seconds=5.0,
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog=Path(__file__).stem, description=__doc__)
    parser.add_argument("--port", required=True, type=int)
    port = parser.parse_args().port
    app = Collector(traces.Traces()).app()
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, shutdown_timeout=1.0)


if __name__ == "__main__":
    main()
