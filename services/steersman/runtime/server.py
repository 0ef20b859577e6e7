"""A gRPC server with everything that a service in Kubernetes needs: health, reflection, channelz, drain.

`drain` order: health says NOT_SERVING, connections are asked to leave (GOAWAY), requests in progress finish within
the time allowed, the rest is cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from steersman.runtime.client_names import ClientNames
from steersman.runtime.health import Health
from steersman.runtime.interceptor import EdgeInterceptor
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.settings import GrpcServer
from steersman.runtime.tls import PLAIN, Wire

log = logging.getLogger(__name__)

_STANDARD: Final = (
    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
    channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name,
    reflection.SERVICE_NAME,
)


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

    Yields:
        The address it listens on, as HOST:PORT.

    Raises:
        OSError: The address cannot be listened on.
    """
    server = grpc.aio.server(
        interceptors=[EdgeInterceptor(metrics, client_names)],
        options=server_options(settings),
        maximum_concurrent_rpcs=settings.max_concurrent_rpcs,
    )
    register(server)
    health = health or Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection([*services, *_STANDARD], server)
    channelz.add_channelz_servicer(server)
    host = settings.address.rpartition(":")[0]
    try:
        port = wire.listen(server, settings.address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {settings.address}: {error}") from error
    await server.start()
    for name in ("", *services):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield f"{host}:{port}"
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
        # Callers may ping an idle connection this often to find out that it is dead.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
