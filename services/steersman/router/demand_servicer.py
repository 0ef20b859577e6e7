"""DemandService: the autoscaler's view of this replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import grpc

from steersman.api.v1 import demand_service_pb2 as pb, demand_service_pb2_grpc
from steersman.router.demand import Demand, Gauge
from steersman.runtime.errors import InvalidRequest

_LOOK_SECONDS: Final = 0.1
"""How soon a change is sent; several changes in this time are one response."""
_LONGEST_INTERVAL_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class DemandServicer(demand_service_pb2_grpc.DemandServiceServicer):
    """Serves `steersman.api.v1.DemandService`.

    Args:
        demand: What is told.
        replica: Identifies this process.
        draining: Set when the process finishes up; the streams, which never end by themselves, end then.
    """

    demand: Demand
    replica: str
    draining: asyncio.Event

    async def StreamDemand(
        self, request: pb.StreamDemandRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.StreamDemandResponse]:
        """Demand at once, then whenever it changes and at least once an interval."""
        del context
        interval = _interval(request)
        while not self.draining.is_set():
            version, sent_at = self.demand.version, time.monotonic()
            yield self._response()
            # An event for each change would cost every request; a look now and then costs one stream.
            while not self._is_news(version, sent_at + interval):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.draining.wait(), _LOOK_SECONDS)

    def _is_news(self, version: int, due_at: float) -> bool:
        return self.draining.is_set() or self.demand.version != version or time.monotonic() >= due_at

    def _response(self) -> pb.StreamDemandResponse:
        demand = self.demand
        return pb.StreamDemandResponse(
            replica=self.replica,
            tiers=[pb.TierDemand(tier=name, demand=_message(gauge)) for name, gauge in demand.tiers.items()],
            classifier=_message(demand.classifier),
            router=_message(demand.router),
        )


def _interval(request: pb.StreamDemandRequest) -> float:
    if not request.HasField("interval"):
        return 1.0
    seconds = request.interval.seconds + request.interval.nanos / 1e9
    if not _LOOK_SECONDS <= seconds <= _LONGEST_INTERVAL_SECONDS:
        raise InvalidRequest(
            "interval", f"must be from {_LOOK_SECONDS} s to {_LONGEST_INTERVAL_SECONDS:.0f} s"
        )
    return seconds


def _message(gauge: Gauge) -> pb.Demand:
    return pb.Demand(waiting=gauge.waiting, running=gauge.running, unmet_total=gauge.unmet_total)
