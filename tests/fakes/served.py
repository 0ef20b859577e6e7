"""A router on fakes behind its real edges: HTTP and gRPC, on ports of this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from aiohttp import web

from fakes.router import RouterOnFakes
from fixtures.callers import Answer, body, fetch
from steersman.api.v1 import (
    decision_service_pb2,
    decision_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from steersman.router.callers import Anybody, Callers
from steersman.router.decision_servicer import DecisionServicer
from steersman.router.http import THRESHOLD_HEADER, HttpApi
from steersman.router.http_decisions import DecisionHandlers
from steersman.router.http_door import Door
from steersman.router.http_server import serving
from steersman.router.servicer import RouterServicer
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.server import grpc_server
from steersman.runtime.settings import GrpcServer

_SERVICES = (
    router_service_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name,
    decision_service_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name,
)

ANYBODY = Anybody("default")


@dataclass
class OverHttp:
    """A router's HTTP API, as it runs."""

    statuses: list[int]
    """What was counted."""
    door: Door
    parts: dict[str, bool] = field(default_factory=dict)
    """What health says of each part."""
    transports: list[asyncio.Transport] = field(default_factory=list)
    """The connection of each response, from its first byte on."""
    url: str = ""
    """Where it listens."""

    async def ask(
        self, data: bytes | None = None, *, stream: bool = False, threshold: str | None = None
    ) -> Answer:
        """Ask for a chat completion: the body given, or any."""
        headers = {} if threshold is None else {THRESHOLD_HEADER: threshold}
        sent = body(stream=stream) if data is None else data
        return await fetch(f"{self.url}/v1/chat/completions", data=sent, headers=headers)

    async def keep(self, request: web.Request, _: web.StreamResponse) -> None:
        """Remember the connection of a response that begins."""
        assert isinstance(request.transport, asyncio.Transport)
        self.transports.append(request.transport)

    def lose(self) -> None:
        """Lose the connection of the last response, without the handler having heard of it yet."""
        self.transports[-1].abort()


def events(answer: Answer) -> list[bytes]:
    """The data of each event of a stream, whose framing has to be right."""
    *blocks, rest = answer.body.split(b"\n\n")
    assert rest == b""
    assert all(block.startswith(b"data: ") for block in blocks)
    return [block.removeprefix(b"data: ") for block in blocks]


@asynccontextmanager
async def over_http(
    router: RouterOnFakes,
    *,
    max_bytes: int = 1 << 20,
    max_messages: int = 100,
    seconds: float = 60.0,
    callers: Callers = ANYBODY,
    door: Door | None = None,
) -> AsyncIterator[OverHttp]:
    """Serve HTTP as the router's process does."""
    door = door or Door(lets_in=lambda: True, on_turned_away=lambda: None, max_age_seconds=60.0)
    statuses: list[int] = []
    parts = {"classifier": True}
    api = HttpApi(
        routing=router.routing,
        callers=callers,
        decisions=DecisionHandlers(router.decisions, callers),
        max_messages=max_messages,
        default_timeout=seconds,
        health=lambda: parts,
        on_response=statuses.append,
        door=door,
        started_at=1_700_000_000,
    )
    application = api.application(max_bytes=max_bytes)
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=5)
    served = OverHttp(statuses, door, parts)
    application.on_response_prepare.append(served.keep)
    async with serving(runner, door, "127.0.0.1:0", None) as address:
        served.url = f"http://{address}"
        yield served


@asynccontextmanager
async def over_grpc(
    router: RouterOnFakes,
    *,
    max_messages: int = 100,
    seconds: float = 60.0,
    callers: Callers = ANYBODY,
    **settings: Any,
) -> AsyncIterator[str]:
    """Serve gRPC as the router's process does; gives HOST:PORT."""
    servicer = RouterServicer(
        routing=router.routing, callers=callers, max_messages=max_messages, default_timeout=seconds
    )
    decisions = DecisionServicer(router.decisions, callers)

    def register(server: grpc.aio.Server) -> None:
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
        decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(decisions, server)

    async with grpc_server(
        GrpcServer.model_validate({"address": "127.0.0.1:0", "drain_seconds": 5, **settings}),
        metrics=ProcessMetrics(),
        services=_SERVICES,
        register=register,
    ) as address:
        yield address
