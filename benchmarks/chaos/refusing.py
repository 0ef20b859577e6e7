"""How a request was refused, and what the scaler hears of those that were."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.rpc import error_details_pb2, status_pb2

from steersman.api.v1 import demand_service_pb2, demand_service_pb2_grpc
from steersman.runtime import rpc_errors

_SECONDS: Final = 10.0


def says_when(error: grpc.aio.AioRpcError) -> bool:
    """Whether a refusal says when to come back."""
    metadata: Any = error.trailing_metadata() or ()
    details = next((value for key, value in metadata if key == rpc_errors.DETAILS_KEY), b"")
    kind = error_details_pb2.RetryInfo.DESCRIPTOR
    return any(detail.Is(kind) for detail in status_pb2.Status.FromString(details).details)


async def demand(channel: grpc.aio.Channel) -> demand_service_pb2.StreamDemandResponse:
    """The demand that a router tells the scaler now."""
    call = demand_service_pb2_grpc.DemandServiceStub(channel).StreamDemand(
        demand_service_pb2.StreamDemandRequest(), timeout=_SECONDS
    )
    told: demand_service_pb2.StreamDemandResponse = await call.read()
    call.cancel()
    return told
