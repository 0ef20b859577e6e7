"""A router's demand stream over gRPC.

Each stream has a connection of its own, since one that has died without a word would keep a channel busy for long; and
each wait for the next report has a bound, which takes the place of a deadline for a call that never ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration

from steersman.api.v1 import demand_service_pb2 as pb, demand_service_pb2_grpc
from steersman.runtime import tls
from steersman.runtime.tls import PLAIN, Wire
from steersman.scaler.model import CLASSIFIER, ROUTER, Counts, Part, Report, tier_part
from steersman.scaler.ports import RouterLost

_MOST: Final = 2**40
_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class RouterStreams:
    """Implements `steersman.scaler.ports.RouterDemand`.

    Args:
        interval_seconds: A router is to speak at least this often.
        stall_seconds: Silence after which it counts as lost.
        wire: How this process speaks.
        name: What a router's certificate must be for.
    """

    interval_seconds: float = 1.0
    stall_seconds: float = 5.0
    wire: Wire = PLAIN
    name: str | None = None

    async def reports(self, address: str) -> AsyncGenerator[Report, None]:
        """See `steersman.scaler.ports.RouterDemand.reports`."""
        interval = Duration()
        interval.FromMilliseconds(round(self.interval_seconds * 1000))
        async with tls.channel(self.wire, address, name=self.name, options=_OPTIONS) as channel:
            call = demand_service_pb2_grpc.DemandServiceStub(channel).StreamDemand(
                pb.StreamDemandRequest(interval=interval)
            )
            while (response := await self._next(call)) is not None:
                yield _report(response)

    async def _next(self, call: Any) -> pb.StreamDemandResponse | None:
        try:
            async with asyncio.timeout(self.stall_seconds):
                response = await call.read()
        except TimeoutError:
            raise RouterLost(f"nothing heard for {self.stall_seconds:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise RouterLost(f"{error.code().name}: {error.details()}") from error
        return None if response is grpc.aio.EOF else response


def _report(response: pb.StreamDemandResponse) -> Report:
    demand: Mapping[Part, Counts] = {
        ROUTER: _counts(response.router),
        CLASSIFIER: _counts(response.classifier),
        **{tier_part(each.tier): _counts(each.demand) for each in response.tiers},
    }
    return Report(response.replica, demand)


def _counts(message: pb.Demand) -> Counts:
    # One router's fault must not hide what the others want, as a number below zero would, or a sum beyond 64 bits.
    return Counts(_count(message.waiting), _count(message.running), _count(message.unmet_total))


def _count(number: int) -> int:
    return min(max(0, number), _MOST)
