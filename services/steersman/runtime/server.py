"""A gRPC server with everything that a service in Kubernetes needs: health, reflection, channelz, drain.

`drain` order: health says NOT_SERVING, connections are asked to leave (GOAWAY), requests in progress finish within
the time allowed, the rest is cancelled.

Health may have a port of its own besides, for kubelet: a server to which no caller sends, so that none of their calls
takes a probe's place. It is there before the one for callers and after it, and tells the same.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from steersman.runtime import shedding
from steersman.runtime.addresses import joined, split_address
from steersman.runtime.client_names import ClientNames
from steersman.runtime.health import Health
from steersman.runtime.interceptor import EdgeInterceptor
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.settings import GrpcServer, HealthServer
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import PLAIN, Wire

log = logging.getLogger(__name__)

_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_STANDARD: Final = (
    _HEALTH,
    channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name,
    reflection.SERVICE_NAME,
)
_PROBES: Final = 16
"""Questions for health in progress at once, and as many that wait; kubelet has up to three."""


@asynccontextmanager
async def grpc_server(
    settings: GrpcServer,
    *,
    metrics: ProcessMetrics,
    services: Sequence[str],
    register: Callable[[grpc.aio.Server], None],
    health: Health | None = None,
    wire: Wire = PLAIN,
    client_names: ClientNames | None = None,
    on_shed: Callable[[int], None] = lambda _: None,
) -> AsyncIterator[str]:
    """Serve while the context lasts, and drain when it is left.

    Args:
        settings: Address, limits and drain time.
        metrics: Where RPCs are counted.
        services: Full names of the services, for health and reflection.
        register: Adds the servicers to the server.
        health: The health service, where the caller has names of its own to set in it.
        wire: How it speaks.
        client_names: Whose certificates may call; any where not given.
        on_shed: Told how many requests were cancelled before they were taken up.

    Yields:
        The address it listens on, as HOST:PORT.

    Raises:
        OSError: The address cannot be listened on.
    """
    edge = EdgeInterceptor(metrics, client_names)
    others = shedding.server_ids()
    server = grpc.aio.server(
        interceptors=[edge],
        options=server_options(settings),
        maximum_concurrent_rpcs=settings.max_concurrent_rpcs,
    )
    (server_id,) = shedding.server_ids() - others
    register(server)
    health = health or Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection([*services, *_STANDARD], server)
    channelz.add_channelz_servicer(server)
    listening = _listen(server, settings.address, wire)
    await server.start()
    for name in ("", *services):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def shed(count: int) -> None:
        metrics.rpcs_shed.inc(count)
        on_shed(count)

    counts = shedding.Shed(settings.max_waiting_rpcs)
    async with BackgroundTasks(
        on_failure=lambda name: metrics.background_failures.labels(name).inc()
    ) as tasks:
        tasks.start("shed requests", partial(shedding.watch, server_id, counts, lambda: edge.taken, shed))
        try:
            yield listening
        finally:
            log.info("draining", extra={"seconds": settings.drain_seconds})
            metrics.draining.set(1)
            await health.enter_graceful_shutdown()
            await server.stop(settings.drain_seconds)


def server_options(settings: GrpcServer) -> list[tuple[str, int]]:
    """Channel arguments of a server with these settings."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", round(settings.max_connection_age_grace_seconds * 1000)),
        ("grpc.so_reuseport", 0),
        *shedding.options(settings.max_waiting_rpcs),
        # Callers may ping an idle connection this often to find out that it is dead.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


@asynccontextmanager
async def health_server(settings: HealthServer, health: Health) -> AsyncIterator[str | None]:
    """Tell kubelet of health while the context lasts, if there is a port for it; entered before `grpc_server`.

    Only `Check` is answered: a `Watch` would take one of few places for as long as its caller likes.

    Args:
        settings: The address.
        health: What `grpc_server` and HTTP tell too; the process does not serve until `grpc_server` does.

    Yields:
        The address it listens on, as HOST:PORT; None where there is none.

    Raises:
        OSError: The address cannot be listened on.
    """
    if settings.address is None:
        yield None
        return
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", 4096),
            ("grpc.so_reuseport", 0),
            *shedding.options(_PROBES),
        ],
        maximum_concurrent_rpcs=_PROBES,
    )
    check = grpc.unary_unary_rpc_method_handler(
        health.Check,
        request_deserializer=health_pb2.HealthCheckRequest.FromString,
        response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_HEALTH, {"Check": check}),))
    listening = _listen(server, settings.address, PLAIN)
    await server.start()
    try:
        yield listening
    finally:
        await server.stop(None)


def _listen(server: grpc.aio.Server, address: str, wire: Wire) -> str:
    host, port = split_address(address)
    try:
        return joined(host, wire.listen(server, joined(host, port)))
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}") from error
