"""The backend put together; the one module that knows all its parts.

Health, by service name: the empty name and `steersman.api.v1.BackendService` say that this process serves, which is
what a liveness probe should ask. `engine` says that the engine answers too, which is what a readiness probe should
ask: restarting this process would not bring an engine back, but a pod without its engine should get no requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from grpc_health.v1 import health_pb2

from steersman import __version__
from steersman.api.v1 import backend_service_pb2, backend_service_pb2_grpc
from steersman.backend.adapters.engine import OpenAIEngine
from steersman.backend.metrics import BackendMetrics
from steersman.backend.servicer import BackendServicer
from steersman.backend.serving import Serving
from steersman.backend.settings import BackendSettings, EngineSettings
from steersman.backend.slots import Slots
from steersman.openai_api.client import EngineClient, Timeouts
from steersman.runtime.client_names import ClientNames
from steersman.runtime.health import Health
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import grpc_server, health_server
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.telemetry import tracing
from steersman.runtime.tls import opened

ENGINE_HEALTH: Final = "engine"
"""Name of the health service that follows the engine."""

_ASSUMED_SLOTS: Final = 32
_SERVICE: Final = backend_service_pb2.DESCRIPTOR.services_by_name["BackendService"].full_name


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running backend listens, as HOST:PORT."""

    grpc: str
    metrics: str


@asynccontextmanager
async def app(settings: BackendSettings) -> AsyncIterator[Addresses]:
    """A backend, serving while the context lasts; leaving it drains first."""
    process = ProcessMetrics()
    metrics = BackendMetrics(process.registry, tier=settings.tier)
    slots = Slots(slots=settings.engine.slots or _ASSUMED_SLOTS, length=settings.queue.length)
    health = Health()
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(opened(settings.tls, on_reload=process.certificates_reloaded))
        await stack.enter_async_context(
            tracing(
                service="steersman-backend",
                version=__version__,
                on_dropped=process.spans_dropped.inc,
                on_reload=process.certificates_reloaded,
                tls=settings.tls,
                wire=wire,
                begins=False,
            )
        )
        client = await stack.enter_async_context(_client(settings.engine, process.certificates_reloaded))
        engine = _engine(client, settings.engine)
        serving = Serving(
            engine=engine,
            slots=slots,
            metrics=metrics,
            tier=settings.tier,
            max_wait=settings.queue.max_wait_seconds,
        )

        async def on_news() -> None:
            if engine.served is not None:
                slots.resize(settings.engine.slots or engine.served.slots or _ASSUMED_SLOTS)
            status = health_pb2.HealthCheckResponse
            await health.set(ENGINE_HEALTH, status.SERVING if engine.reachable else status.NOT_SERVING)

        await engine.refresh()
        await on_news()
        metrics.observe_load(serving.load, reachable=lambda: engine.reachable)
        metrics_address = await stack.enter_async_context(
            metrics_server(settings.metrics.address, process, health=health, wire=wire)
        )
        await stack.enter_async_context(health_server(settings.health, health))
        tasks = await stack.enter_async_context(
            BackgroundTasks(on_failure=lambda task: process.background_failures.labels(task).inc())
        )
        tasks.start("engine-watch", lambda: engine.watch(on_news))
        grpc_address = await stack.enter_async_context(
            grpc_server(
                settings.grpc,
                metrics=process,
                services=[_SERVICE],
                register=lambda server: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
                    BackendServicer(serving), server
                ),
                health=health,
                wire=wire,
                client_names=ClientNames.by(settings.tls),
            )
        )
        stack.callback(serving.drain)
        yield Addresses(grpc=grpc_address, metrics=metrics_address)


def _client(settings: EngineSettings, on_reload: Callable[[str], None]) -> EngineClient:
    return EngineClient(
        url=settings.url,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        ca_file=settings.ca_file,
        on_reload=on_reload,
        connect_timeout=settings.connect_timeout_seconds,
    )


def _engine(client: EngineClient, settings: EngineSettings) -> OpenAIEngine:
    timeouts = Timeouts(
        first_byte=settings.first_byte_timeout_seconds,
        idle=settings.idle_timeout_seconds,
        whole=settings.unary_timeout_seconds,
    )
    return OpenAIEngine(client, timeouts=timeouts, refresh_seconds=settings.refresh_seconds)
