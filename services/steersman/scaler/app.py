"""Wires the scaler: the only module that knows every adapter.

Health, by service name: the empty name says that this process serves, which is what a liveness probe should ask.
`routers` says that demand is known, which is what a readiness probe should ask: a restart would not bring a router
back, but of two scalers KEDA should ask the one that hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from grpc_health.v1 import health_pb2

from externalscaler import externalscaler_pb2, externalscaler_pb2_grpc
from steersman import __version__
from steersman.runtime import telemetry
from steersman.runtime.addresses import AddressLookup, AddressSource, name_of
from steersman.runtime.client_names import ClientNames
from steersman.runtime.errors import Unavailable
from steersman.runtime.health import Health
from steersman.runtime.kubernetes.following import Following, connected
from steersman.runtime.kubernetes.metrics import KubernetesMetrics
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import grpc_server, health_server
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import Wire, opened
from steersman.scaler.adapters.router import RouterStreams
from steersman.scaler.demand import Demand, Rules
from steersman.scaler.listening import Listening
from steersman.scaler.metrics import ScalerMetrics
from steersman.scaler.news import News
from steersman.scaler.servicer import ScalerServicer
from steersman.scaler.settings import ScalerSettings

ROUTERS_HEALTH: Final = "routers"
"""Name of the health service that says whether demand is known."""

_SERVICE: Final = externalscaler_pb2.DESCRIPTOR.services_by_name["ExternalScaler"].full_name
_LOOK_SECONDS: Final = 0.5
"""How old health and metrics may be."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running scaler listens, as HOST:PORT."""

    grpc: str
    metrics: str


@asynccontextmanager
async def app(settings: ScalerSettings, *, source: AddressSource | None = None) -> AsyncIterator[Addresses]:
    """A scaler that serves as long as the context lasts, and drains when it is left.

    Args:
        settings: All settings.
        source: Finds the routers; as the settings say where none is given.
    """
    process, news = ProcessMetrics(), News()
    counting = settings.counting
    demand = Demand(Rules(counting.hold_seconds, counting.unmet_seconds, counting.settle_seconds))
    metrics, health = ScalerMetrics(process.registry), Health()
    servicer = ScalerServicer(
        demand,
        news,
        resend_seconds=settings.resend_seconds,
        longest_stream_seconds=settings.grpc.max_connection_age_grace_seconds * 0.9,
    )
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(opened(settings.tls, on_reload=process.certificates_reloaded))
        await stack.enter_async_context(
            telemetry.tracing(
                service="steersman-scaler",
                version=__version__,
                on_dropped=process.spans_dropped.inc,
                on_reload=process.certificates_reloaded,
                tls=settings.tls,
                wire=wire,
            )
        )
        metrics_address = await stack.enter_async_context(
            metrics_server(settings.metrics.address, process, health=health, wire=wire)
        )
        await stack.enter_async_context(health_server(settings.health, health))
        cluster = settings.kubernetes
        api = await stack.enter_async_context(connected(cluster.kubeconfig, wanted=cluster.endpoint_slices))
        tasks = await stack.enter_async_context(
            BackgroundTasks(on_failure=lambda name: process.background_failures.labels(name).inc())
        )
        if api is not None:
            told = KubernetesMetrics(process.registry)
            source = await Following(cluster.namespace, cluster.start_seconds, tasks, told).addresses(api)
        listening = _listening(settings, source or AddressLookup(), demand, news, tasks, wire=wire)
        tasks.start("addresses of routers", listening.follow)
        tasks.start("health", partial(_tell, demand, metrics, health))
        grpc_address = await stack.enter_async_context(
            grpc_server(
                settings.grpc,
                metrics=process,
                services=[_SERVICE],
                register=partial(externalscaler_pb2_grpc.add_ExternalScalerServicer_to_server, servicer),
                health=health,
                wire=wire,
                client_names=ClientNames.by(settings.tls),
            )
        )
        stack.callback(servicer.drain)
        yield Addresses(grpc_address, metrics_address)


def _listening(
    settings: ScalerSettings,
    source: AddressSource,
    demand: Demand,
    news: News,
    tasks: BackgroundTasks,
    *,
    wire: Wire,
) -> Listening:
    routers = settings.routers
    return Listening(
        target=routers.target,
        source=source,
        routers=RouterStreams(routers.interval_seconds, routers.stall_seconds, wire, name_of(routers.target)),
        demand=demand,
        news=news,
        tasks=tasks,
        refresh_seconds=routers.refresh_seconds,
        longest_pause_seconds=routers.longest_pause_seconds,
    )


async def _tell(demand: Demand, metrics: ScalerMetrics, health: Health) -> None:
    """Keep health and metrics up to date; for a background task."""
    status = health_pb2.HealthCheckResponse
    while True:
        try:
            sums = demand.sums()
        except Unavailable:
            sums = {}
        metrics.show(sums, demand.audience())
        await health.set(ROUTERS_HEALTH, status.SERVING if sums else status.NOT_SERVING)
        await asyncio.sleep(_LOOK_SECONDS)
