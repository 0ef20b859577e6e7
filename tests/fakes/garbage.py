"""A server whose responses are any bytes, for one method of one service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc


@asynccontextmanager
async def says(method: str, responses: Sequence[bytes], *, streams: bool = True) -> AsyncIterator[str]:
    """Serve `package.Service/Method`, without its types, while the context lasts; gives HOST:PORT.

    Args:
        method: Which.
        responses: What each call is answered with; looked at anew for each.
        streams: Whether its response is a stream.
    """

    async def stream(_: bytes, __: Any) -> AsyncIterator[bytes]:
        for response in responses:
            yield response

    async def whole(_: bytes, __: Any) -> bytes:
        return responses[0]

    service, _, name = method.rpartition("/")
    handler: grpc.RpcMethodHandler[bytes, bytes] = (
        grpc.unary_stream_rpc_method_handler(stream)
        if streams
        else grpc.unary_unary_rpc_method_handler(whole)
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


GARBAGE: Sequence[bytes] = (b"\xff" * 40,)
