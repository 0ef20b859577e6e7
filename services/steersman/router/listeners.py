"""Wires the router's two listeners, OpenAI's API over HTTP and our own over gRPC, to what they serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from aiohttp import web

from steersman.api.v1 import (
    decision_service_pb2,
    decision_service_pb2_grpc,
    demand_service_pb2,
    demand_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from steersman.router.callers import Callers
from steersman.router.decision_servicer import DecisionServicer
from steersman.router.demand_servicer import DemandServicer
from steersman.router.http import HttpApi
from steersman.router.http_decisions import DecisionHandlers
from steersman.router.http_door import STATUS, Door
from steersman.router.http_server import serving
from steersman.router.metrics import RouterMetrics
from steersman.router.policy_servicer import PolicyServicer
from steersman.router.ports import Classifier
from steersman.router.routing import Routing
from steersman.router.servicer import RouterServicer
from steersman.router.settings import RouterSettings
from steersman.router.shedding import Shedder
from steersman.runtime.client_names import ClientNames
from steersman.runtime.health import Health
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.server import grpc_server
from steersman.runtime.tls import Wire

_SERVICES = (
    router_service_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name,
    decision_service_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name,
    demand_service_pb2.DESCRIPTOR.services_by_name["DemandService"].full_name,
    policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"].full_name,
)


_INSIDE = frozenset(
    each.full_name
    for each in (
        demand_service_pb2.DESCRIPTOR.services_by_name["DemandService"],
        policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
    )
)
"""Those that are not for callers."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a gRPC server has, whatever it serves.

    Attributes:
        on_shed: Told how many requests were cancelled before they were taken up.
    """

    process: ProcessMetrics
    health: Health
    wire: Wire
    on_shed: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Told:
    """What this replica tells callers afterwards, the autoscaler and the controller."""

    decisions: DecisionServicer
    demand: DemandServicer
    policies: PolicyServicer


@asynccontextmanager
async def http_api(
    settings: RouterSettings,
    routing: Routing,
    decisions: DecisionHandlers,
    classifier: Classifier,
    metrics: RouterMetrics,
    *,
    shedder: Shedder,
    wire: Wire,
) -> AsyncIterator[None]:
    """OpenAI's API, served while the context lasts; responses in progress end when it is left."""

    def turned_away() -> None:
        routing.demand.never_came_in(1)
        metrics.turned_away(STATUS)

    door = Door(
        lets_in=shedder.lets_in,
        on_turned_away=turned_away,
        max_age_seconds=settings.http.max_connection_age_seconds,
    )
    api = HttpApi(
        routing=routing,
        callers=decisions.callers,
        decisions=decisions,
        max_messages=settings.requests.max_messages,
        default_timeout=settings.requests.default_timeout_seconds,
        health=lambda: {"classifier": classifier.identity is not None},
        on_response=metrics.responded,
        door=door,
    )
    application = api.application(max_bytes=settings.grpc.max_message_bytes)
    application.on_response_prepare.append(door.end_if_old)
    runner = web.AppRunner(
        application,
        handler_cancellation=True,  # a caller that leaves ends the work at the engine
        access_log=None,
        shutdown_timeout=settings.grpc.drain_seconds,
    )
    async with serving(runner, door, settings.http.address, wire.server_context()):
        yield


@asynccontextmanager
async def grpc_api(
    settings: RouterSettings, routing: Routing, callers: Callers, told: Told, served: Served
) -> AsyncIterator[None]:
    """All gRPC services, served while the context lasts, and drained when it is left."""
    servicer = RouterServicer(
        routing=routing,
        callers=callers,
        max_messages=settings.requests.max_messages,
        default_timeout=settings.requests.default_timeout_seconds,
    )

    def register(server: grpc.aio.Server) -> None:
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
        decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(told.decisions, server)
        demand_service_pb2_grpc.add_DemandServiceServicer_to_server(told.demand, server)
        policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(told.policies, server)

    async with grpc_server(
        settings.grpc,
        metrics=served.process,
        services=_SERVICES,
        register=register,
        health=served.health,
        wire=served.wire,
        client_names=ClientNames.by(settings.tls, open_services=set(_SERVICES) - _INSIDE),
        on_shed=served.on_shed,
    ):
        yield
