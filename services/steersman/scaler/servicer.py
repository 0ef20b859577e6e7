"""KEDA's ExternalScaler: what the routers want, in KEDA's words."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from externalscaler import externalscaler_pb2 as pb, externalscaler_pb2_grpc
from steersman.runtime.errors import InvalidRequest, Unavailable
from steersman.scaler.demand import Demand
from steersman.scaler.model import Trigger
from steersman.scaler.news import News
from steersman.scaler.trigger import trigger_of

_LOOK_SECONDS: Final = 1.0
"""How soon it shows that time alone has changed something; what a router reports shows at once."""


@dataclass(frozen=True, slots=True)
class ScalerServicer(externalscaler_pb2_grpc.ExternalScalerServicer):
    """Serves `externalscaler.ExternalScaler`.

    Args:
        demand: What is told.
        news: Tells when it has changed.
        resend_seconds: Longest time between two responses of a stream.
        longest_stream_seconds: Age at which a stream is ended, to be opened anew. KEDA forgets its growing pauses
            between two attempts only after a stream that ended well, so none may be left to be cut.
    """

    demand: Demand
    news: News
    resend_seconds: float
    longest_stream_seconds: float
    _draining: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """End the streams, which do not end by themselves."""
        self._draining.set()
        self.news.tell()

    async def IsActive(
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.IsActiveResponse:
        """Whether demand is above the trigger's activation."""
        del context
        return pb.IsActiveResponse(result=self._active(trigger_of(request.scalerMetadata)))

    async def StreamIsActive(
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.IsActiveResponse]:
        """The same, at once and when it changes; nothing while demand is not known."""
        del context
        trigger, end_at = trigger_of(request.scalerMetadata), time.monotonic() + self.longest_stream_seconds
        told, told_at = None, -math.inf
        while not self._draining.is_set() and time.monotonic() < end_at:
            news = self.news.next
            with suppress(Unavailable):
                active = self._active(trigger)
                if active is not told or time.monotonic() >= told_at + self.resend_seconds:
                    yield pb.IsActiveResponse(result=active)
                    told, told_at = active, time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), _LOOK_SECONDS)

    async def GetMetricSpec(
        self, request: pb.ScaledObjectRef, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetMetricSpecResponse:
        """The trigger's metric, and how much of it one replica is to have."""
        del context
        trigger = trigger_of(request.scalerMetadata)
        target = trigger.target_per_replica
        spec = pb.MetricSpec(
            metricName=trigger.metric_name, targetSize=math.ceil(target), targetSizeFloat=target
        )
        return pb.GetMetricSpecResponse(metricSpecs=[spec])

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetMetricsResponse:
        """All demand for the trigger's part."""
        del context
        trigger = trigger_of(request.scaledObjectRef.scalerMetadata)
        if request.metricName != trigger.metric_name:
            raise InvalidRequest("metricName", f"must be {trigger.metric_name!r} for {trigger.part!r}")
        total = self.demand.of(trigger.part).total
        value = pb.MetricValue(metricName=trigger.metric_name, metricValue=total, metricValueFloat=total)
        return pb.GetMetricsResponse(metricValues=[value])

    def _active(self, trigger: Trigger) -> bool:
        return self.demand.of(trigger.part).total > trigger.activation
