"""A tier's upstream that is a backend of ours, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Self

import grpc

from steersman.api.v1 import backend_service_pb2, backend_service_pb2_grpc
from steersman.router.ports import Dispatch, Load
from steersman.runtime import rpc_errors
from steersman.runtime.errors import BrokenOff, Error, Overloaded, Unavailable
from steersman.runtime.tls import PLAIN, Wire, channel

_REPORT_SECONDS: Final = 0.5
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A peer that is gone without a word is found out by a ping, not by the next request.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    # Tried again soon: a pod that is down is found out by the fleet, and its return should be seen.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Channels to one address would share a connection otherwise, across tiers.
    ("grpc.use_local_subchannel_pool", 1),
)


class BackendUpstream:
    """One backend pod.

    Args:
        channel: To it; closed with the upstream.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = backend_service_pb2_grpc.BackendServiceStub(self._channel)

    @classmethod
    async def connect(cls, address: str, *, wire: Wire = PLAIN, name: str | None = None) -> Self:
        """An upstream for an address; the connection itself is made when it is first needed.

        Args:
            address: HOST:PORT.
            wire: How this process speaks.
            name: What the backend's certificate must be for.
        """
        return cls(channel(wire, address, name=name, options=_OPTIONS))

    async def generate(self, dispatch: Dispatch) -> AsyncGenerator[Sequence[bytes], None]:
        """See `steersman.router.ports.Upstream`."""
        request = backend_service_pb2.GenerateRequest(
            openai_body=dispatch.body, tenant=dispatch.party.tenant, weight=dispatch.party.weight
        )
        call = self._stub.Generate(
            request, timeout=dispatch.timeout, metadata=tuple(dispatch.headers.items()) or None
        )
        begun = False
        try:
            async for response in call:
                if response is None:  # what gRPC makes of bytes that are no message
                    raise _garbage(begun=begun)
                begun = True
                yield response.openai_chunks
        except grpc.aio.AioRpcError as rpc_error:
            error = rpc_errors.from_rpc_error(rpc_error)
            if begun and isinstance(error, Unavailable | Overloaded):
                error = BrokenOff(error.message, reason=error.reason)
            raise error from None
        finally:
            call.cancel()

    async def complete(self, dispatch: Dispatch) -> bytes:
        """See `steersman.router.ports.Upstream`."""
        async with aclosing(self.generate(dispatch)) as pieces:
            return b"".join([chunk async for chunks in pieces for chunk in chunks])

    async def load(self) -> Load | None:
        """See `steersman.router.ports.Upstream`."""
        try:
            told = await self._stub.GetLoad(backend_service_pb2.GetLoadRequest(), timeout=_REPORT_SECONDS)
        except grpc.aio.AioRpcError:
            return None
        if told is None:  # what came was no message
            return None
        return Load(told.waiting, told.running, told.slots, told.draining)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _garbage(*, begun: bool) -> Error:
    kind = BrokenOff if begun else Unavailable
    return kind("the backend sent something that is no answer", reason="BACKEND_GARBAGE")
