"""A gRPC proxy that only passes bytes on: what any router in Python costs that does nothing at all."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import uvloop
from benchmarks.reference_server import STREAMED, Context, Handler, serve


class PassThrough(grpc.GenericRpcHandler):
    """Passes every method on to another server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._handlers: dict[str, Handler] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """See `grpc.GenericRpcHandler`; asked once a call, so what it says is kept."""
        method = handler_call_details.method
        if method not in self._handlers:
            self._handlers[method] = self._handler(method)
        return self._handlers[method]

    def _handler(self, method: str) -> Handler:
        if method.endswith(STREAMED):
            return grpc.unary_stream_rpc_method_handler(_streamed(self._channel.unary_stream(method)))
        return grpc.unary_unary_rpc_method_handler(_whole(self._channel.unary_unary(method)))


def _whole(
    ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes],
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def handle(request: bytes, context: Context) -> bytes:
        return await ask(request, timeout=context.time_remaining())

    return handle


def _streamed(
    ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes],
) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
    async def handle(request: bytes, context: Context) -> AsyncIterator[bytes]:
        async for message in ask(request, timeout=context.time_remaining()):
            yield message

    return handle


async def pass_through(port: int, target: str) -> None:
    """Pass on what comes until SIGTERM."""
    async with grpc.aio.insecure_channel(target) as channel:
        await serve(port, PassThrough(channel))


def main() -> None:
    """Pass on from the port that is given to the address that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True, help="HOST:PORT")
    given = parser.parse_args()
    uvloop.run(pass_through(given.port, given.target))


if __name__ == "__main__":
    main()
