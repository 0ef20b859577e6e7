"""Wires the controller: the only module that knows every adapter.

Health, by service name: the empty name says that this process runs, which is what a liveness probe should ask. `lease`
says that the Lease can be read, so that a replica knows who leads; a readiness probe that asks for it holds up a
rollout whose pods may not do what they are for. One that does not lead is as ready as the one that does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final
from uuid import uuid4

from grpc_health.v1 import health_pb2

from steersman import __version__
from steersman.controller.adapters.lease import KubernetesLease
from steersman.controller.adapters.resources import KubernetesPolicies
from steersman.controller.adapters.router import RouterClient
from steersman.controller.election import Election
from steersman.controller.lease import Candidate, Terms
from steersman.controller.metrics import ControllerMetrics
from steersman.controller.polling import Polling
from steersman.controller.ports import PolicyResources
from steersman.controller.reconciling import Pace, Reconciling
from steersman.controller.routers import Routers, Rules
from steersman.controller.settings import ControllerSettings
from steersman.runtime import telemetry
from steersman.runtime.addresses import AddressLookup, name_of
from steersman.runtime.health import Health
from steersman.runtime.kubernetes.client import KubernetesApi, kubernetes_api
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import grpc_server, health_server
from steersman.runtime.tasks import BackgroundTasks
from steersman.runtime.tls import Wire, opened

LEASE_HEALTH: Final = "lease"
"""Name of the health service that says whether this replica knows who leads."""

_LOOK_SECONDS: Final = 0.5
"""How old health and the leader's metric may be."""
_LABELS: Final = {"app.kubernetes.io/component": "controller", "app.kubernetes.io/part-of": "steersman"}


@asynccontextmanager
async def app(settings: ControllerSettings) -> AsyncIterator[None]:
    """A controller that works or stands by as long as the context lasts, and gives the Lease back when it is left."""
    process, health = ProcessMetrics(), Health()
    metrics = ControllerMetrics(process.registry)
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(opened(settings.tls, on_reload=process.certificates_reloaded))
        await stack.enter_async_context(
            telemetry.tracing(
                service="steersman-controller",
                version=__version__,
                on_dropped=process.spans_dropped.inc,
                on_reload=process.certificates_reloaded,
                tls=settings.tls,
                wire=wire,
            )
        )
        await stack.enter_async_context(
            metrics_server(settings.metrics.address, process, health=health, wire=wire)
        )
        await stack.enter_async_context(health_server(settings.health, health))
        api = await stack.enter_async_context(kubernetes_api(settings.kubernetes.kubeconfig))
        election = _election(settings, api, metrics, process, wire=wire)
        stack.push_async_callback(election.resign)  # after the work, which ends with its task
        tasks = await stack.enter_async_context(
            BackgroundTasks(on_failure=lambda name: process.background_failures.labels(name).inc())
        )
        tasks.start("election", election.run)
        tasks.start("health", partial(_tell, election, metrics, health))
        await stack.enter_async_context(
            grpc_server(
                settings.grpc,
                metrics=process,
                services=[],
                register=lambda _: None,
                health=health,
                wire=wire,
            )
        )
        yield


def _election(
    settings: ControllerSettings,
    api: KubernetesApi,
    metrics: ControllerMetrics,
    process: ProcessMetrics,
    *,
    wire: Wire,
) -> Election:
    election, identity = settings.election, f"{socket.gethostname()}_{uuid4()}"
    namespace = settings.kubernetes.namespace
    terms = Terms(election.duration_seconds, election.deadline_seconds, election.retry_seconds)
    policies = KubernetesPolicies(api, namespace, identity, on_error=partial(metrics.failed, "watch"))
    return Election(
        candidate=Candidate(identity, terms),
        terms=terms,
        leases=KubernetesLease(api, namespace, election.lease, _LABELS),
        work=partial(_lead, settings, policies, metrics, wire=wire),
        on_api_error=partial(metrics.failed, "lease"),
        on_failure=lambda name: process.background_failures.labels(name).inc(),
    )


async def _lead(
    settings: ControllerSettings, policies: PolicyResources, metrics: ControllerMetrics, *, wire: Wire
) -> None:
    """One term of work, with what is known of the routers learnt anew."""
    asked, told = settings.routers, settings.reporting
    router = RouterClient(asked.timeout_seconds, wire, name_of(asked.target))
    polling = Polling(asked.target, AddressLookup(), router, asked.concurrency)
    try:
        await Reconciling(
            policies,
            polling,
            Routers(Rules(asked.hold_seconds, told.window_seconds)),
            hold_seconds=asked.hold_seconds,
            pace=Pace(asked.interval_seconds, numbers=told.numbers_seconds, refresh=told.refresh_seconds),
            observer=metrics,
        ).run()
    finally:
        metrics.stopped()


async def _tell(election: Election, metrics: ControllerMetrics, health: Health) -> None:
    """Keep health and the leader's metric up to date; for a background task."""
    status = health_pb2.HealthCheckResponse
    while True:
        metrics.leader.set(election.leads)
        await health.set(LEASE_HEALTH, status.SERVING if election.sees else status.NOT_SERVING)
        await asyncio.sleep(_LOOK_SECONDS)
