from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from steersman.api.v1 import demand_service_pb2 as pb
from steersman.router.demand import Demand
from steersman.router.demand_servicer import DemandServicer
from steersman.runtime.errors import InvalidRequest

NO_CONTEXT = cast("grpc.aio.ServicerContext[Any, Any]", None)
LONG = Duration(seconds=600)


class Served:
    """A replica's demand, as the scaler sees it."""

    def __init__(self) -> None:
        self.demand = Demand()
        self.draining = asyncio.Event()
        self.servicer = DemandServicer(self.demand, "replica-1", self.draining)

    def stream(self, interval: Duration | None = None) -> AsyncIterator[pb.StreamDemandResponse]:
        return self.servicer.StreamDemand(pb.StreamDemandRequest(interval=interval), NO_CONTEXT)

    @contextmanager
    def running(self, tier: str) -> Iterator[None]:
        with self.demand.of_tier(tier) as want:
            want.runs()
            yield


@pytest.fixture
def served() -> Served:
    return Served()


async def next_of(stream: AsyncIterator[pb.StreamDemandResponse]) -> pb.StreamDemandResponse:
    async with asyncio.timeout(5):
        return await anext(stream)


async def test_demand_is_told_at_once_and_whole(served: Served) -> None:
    with served.running("strong"), served.demand.of_classifier(), served.demand.of_router() as want:
        want.unmet()
        told = await next_of(served.stream(LONG))
    assert told == pb.StreamDemandResponse(
        replica="replica-1",
        tiers=[pb.TierDemand(tier="strong", demand=pb.Demand(running=1))],
        classifier=pb.Demand(waiting=1),
        router=pb.Demand(waiting=1, unmet_total=1),
    )


async def test_a_change_is_told_soon(served: Served) -> None:
    stream = served.stream(LONG)
    await next_of(stream)
    with served.running("weak"):
        assert (await next_of(stream)).tiers[0].demand.running == 1
    assert (await next_of(stream)).tiers[0].demand.running == 0


async def test_silence_is_broken_once_an_interval(served: Served) -> None:
    stream = served.stream(Duration(nanos=100_000_000))
    first, second = await next_of(stream), await next_of(stream)
    assert first == second


async def test_the_stream_ends_when_the_process_finishes_up(served: Served) -> None:
    stream = served.stream(LONG)
    await next_of(stream)
    served.draining.set()
    with pytest.raises(StopAsyncIteration):
        await next_of(stream)


@pytest.mark.parametrize(
    "interval", [Duration(), Duration(seconds=-1), Duration(nanos=1), Duration(seconds=3601)]
)
async def test_an_interval_that_makes_no_sense_is_refused(served: Served, interval: Duration) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await next_of(served.stream(interval))
    assert refused.value.violations[0].field == "interval"
