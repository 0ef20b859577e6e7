"""Prometheus metrics: one registry a process, served over HTTP, labels bounded.

Only label values from closed sets are used (method, status code, tier, stage, ...). Prompt text, ids and addresses of
callers are never labels.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import prometheus_client as prometheus
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from steersman.runtime.addresses import joined, split_address
from steersman.runtime.health import Health
from steersman.runtime.instruments import Counter, Histogram
from steersman.runtime.tls import PLAIN, Wire

STAGE_BUCKETS: Final = (
    0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip
"""Buckets in seconds for what Steersman itself adds: from 25 µs, a cache hit, to 1 s, something is wrong."""

ANSWER_BUCKETS: Final = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
)
"""Buckets in seconds that OpenTelemetry's GenAI conventions give for operations."""


HEALTH_PATH: Final = "/healthz"


class ProcessMetrics:
    """The metrics that every process has, and the registry that a service adds its own to."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.rpcs = Counter(
            "steersman_rpcs",
            "RPCs answered, by method and status code.",
            ("method", "code"),
            registry=self.registry,
        )
        self.rpcs_shed = Counter(
            "steersman_rpcs_shed",
            "RPCs that were cancelled because too many waited to be taken up.",
            registry=self.registry,
        )
        self.rpc_seconds = Histogram(
            "steersman_rpc_duration_seconds",
            "Time from an RPC's first byte to its last.",
            ("method",),
            buckets=(*STAGE_BUCKETS, *ANSWER_BUCKETS[8:]),
            registry=self.registry,
        )
        self.background_failures = Counter(
            "steersman_background_failures",
            "Failures of background tasks, which are started anew.",
            ("task",),
            registry=self.registry,
        )
        self.spans_dropped = prometheus.Counter(
            "steersman_spans_dropped",
            "Spans that the collector did not take.",
            registry=self.registry,
        )
        self.certificate_reloads = Counter(
            "steersman_certificate_reloads",
            "Changes of the certificates, by whether they were taken or refused.",
            ("outcome",),
            registry=self.registry,
        )
        self.draining = Gauge(
            "steersman_draining", "1 while the process finishes up, else 0.", registry=self.registry
        )
        self.tasks = Gauge(
            "steersman_tasks",
            "Tasks of the event loop; a number that only grows is a leak.",
            registry=self.registry,
        )

    def certificates_reloaded(self, outcome: str) -> None:
        """Count a change of the certificates: `taken` or `refused`."""
        self.certificate_reloads.labels(outcome).inc()


@asynccontextmanager
async def metrics_server(
    address: str, metrics: ProcessMetrics, *, health: Health | None = None, wire: Wire = PLAIN
) -> AsyncIterator[str]:
    """Serve `/metrics`, and `/healthz` where there is health to tell, while the context lasts.

    Where clients must show certificates, whoever asks for health need not: kubelet has none.

    Yields:
        The address it listens on, as HOST:PORT.
    """
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    metrics.tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
    app = web.Application(middlewares=[_known_only] if wire.verifies_clients else [])
    if health is not None:
        app.router.add_get(HEALTH_PATH, health.over_http)
    app.router.add_get("/metrics", make_aiohttp_handler(registry=metrics.registry))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        context = wire.server_context(certificates=ssl.CERT_OPTIONAL if wire.verifies_clients else None)
        await web.TCPSite(runner, host, int(port), ssl_context=context).start()
        yield joined(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


@web.middleware
async def _known_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Nothing but health for who has shown no certificate."""
    shown = request.get_extra_info("peercert")
    if not shown and request.path != HEALTH_PATH:
        raise web.HTTPForbidden(text="a client certificate is needed\n")
    return await handler(request)
