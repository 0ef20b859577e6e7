"""A router's demand service, really on the wire, with knobs for what may happen to a router."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from steersman.api.v1 import demand_service_pb2 as pb, demand_service_pb2_grpc
from steersman.router.demand import Demand
from steersman.router.demand_servicer import DemandServicer

_NUMBERS = itertools.count(1)


class _Knobs(demand_service_pb2_grpc.DemandServiceServicer):
    """The router's own servicer, which can be made to stall: the connection stays, but nothing comes any more."""

    def __init__(self, servicer: DemandServicer) -> None:
        self._servicer = servicer
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.listeners = 0

    async def StreamDemand(  # noqa: N802 - the protocol names it
        self, request: pb.StreamDemandRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamDemandResponse]:
        self.listeners += 1
        try:
            async for response in self._servicer.StreamDemand(request, context):
                await self.goes_on.wait()
                yield response
        finally:
            self.listeners -= 1


@dataclass
class DemandServer:
    """A router that has demand and nothing else. Each start is another process to those who listen."""

    address: str = "127.0.0.1:0"
    demand: Demand = field(default_factory=Demand)
    replica: str = ""

    async def start(self) -> None:
        """Serve, with no demand, under a new name, at the same address as before."""
        self.demand, self.replica = Demand(), f"replica-{next(_NUMBERS)}"
        self.demand.tiers.update({"weak": self.demand.tiers["weak"], "strong": self.demand.tiers["strong"]})
        self._draining = asyncio.Event()
        self._knobs = _Knobs(DemandServicer(self.demand, self.replica, self._draining))
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        demand_service_pb2_grpc.add_DemandServiceServicer_to_server(self._knobs, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address)}"
        await self._server.start()

    @property
    def listeners(self) -> int:
        """Streams that are open."""
        return self._knobs.listeners

    def want(self, part: str, *, waiting: int = 0, running: int = 0, unmet: int = 0) -> None:
        """Set the demand for `router`, `classifier` or a tier; unmet requests are added."""
        gauges = {"router": self.demand.router, "classifier": self.demand.classifier}
        gauge = gauges[part] if part in gauges else self.demand.tiers[part]
        gauge.waiting, gauge.running = waiting, running
        gauge.unmet_total += unmet
        self.demand.version += 1

    def stall(self) -> None:
        """Say nothing any more, and keep the connection."""
        self._knobs.goes_on.clear()

    def go_on(self) -> None:
        """Undo `stall`."""
        self._knobs.goes_on.set()

    async def die(self) -> None:
        """Break all streams off."""
        await self._server.stop(None)

    async def drain(self) -> None:
        """End all streams well, as a router does on SIGTERM, and be gone."""
        self._draining.set()
        await self._server.stop(5)

    async def restart(self) -> None:
        """Die, and serve again."""
        await self.die()
        await self.start()


@asynccontextmanager
async def demand_server() -> AsyncIterator[DemandServer]:
    """One that serves while the context lasts."""
    server = DemandServer()
    await server.start()
    try:
        yield server
    finally:
        await server.die()
