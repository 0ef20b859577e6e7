"""What gRPC alone costs in Python: servers that answer with fixed bytes and do nothing else.

`echo` takes and gives the router's own protobuf messages; `raw` never looks into a message. Both have the router's
server options and event loop, and none of its work.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc
import uvloop
from benchmarks.mock_engine import CHUNKS, INTERVAL_SECONDS, chunk
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from steersman.api.v1 import router_service_pb2 as pb, router_service_pb2_grpc
from steersman.runtime.server import (
    server_options,  # both sides of a comparison have the same
)
from steersman.runtime.settings import GrpcServer

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
STREAMED: Final = ("/Chat", "/Generate")
"""How the names of methods end that answer with a stream."""


class Echo(router_service_pb2_grpc.RouterServiceServicer):
    """Parses a request and serialises an answer, which is always the same."""

    def __init__(self, answer: bytes) -> None:
        self._answer = pb.RouteResponse.FromString(answer)

    async def Route(self, request: pb.RouteRequest, context: Context) -> pb.RouteResponse:  # noqa: ARG002, N802 - as the protocol names them
        """See `RouterService`."""
        return self._answer


class Raw(grpc.GenericRpcHandler):
    """Answers every method with the same bytes, or as a stream with the pace of the mock engine."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._streamed: Handler = grpc.unary_stream_rpc_method_handler(self._stream)
        self._unary: Handler = grpc.unary_unary_rpc_method_handler(self._whole)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """See `grpc.GenericRpcHandler`."""
        return self._streamed if handler_call_details.method.endswith(STREAMED) else self._unary

    async def _whole(self, request: bytes, context: Context) -> bytes:  # noqa: ARG002 - as gRPC names them
        return self._answer

    async def _stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:  # noqa: ARG002 - as gRPC names them
        for number in range(CHUNKS):
            yield pb.ChatResponse(openai_chunks=[chunk(f"word{number} ")]).SerializeToString()
            await asyncio.sleep(INTERVAL_SECONDS)


async def serve(port: int, *handlers: grpc.GenericRpcHandler, echo: Echo | None = None) -> None:
    """Serve until SIGTERM."""
    settings = GrpcServer()
    server = grpc.aio.server(
        options=server_options(settings), maximum_concurrent_rpcs=settings.max_concurrent_rpcs
    )
    health_pb2_grpc.add_HealthServicer_to_server(health_aio.HealthServicer(), server)
    if echo is not None:
        router_service_pb2_grpc.add_RouterServiceServicer_to_server(echo, server)
    server.add_generic_rpc_handlers(handlers)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(grace=1.0)


def main() -> None:
    """Serve at the port that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("echo", "raw"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answer", type=Path, required=True, help="file with the bytes to answer with")
    given = parser.parse_args()
    answer = given.answer.read_bytes()
    if given.kind == "echo":
        uvloop.run(serve(given.port, echo=Echo(answer)))
    else:
        uvloop.run(serve(given.port, Raw(answer)))


if __name__ == "__main__":
    main()
