from __future__ import annotations

import asyncio
from typing import Any

import grpc
from benchmarks.abuser import Asking, abuser

_METHOD = "/a.Service/Method"


class Answers(grpc.GenericRpcHandler):
    """Answers what is short, and refuses the rest."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ARG002 - as gRPC names it
        async def handle(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            if request != b"short":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
            return request

        return grpc.unary_unary_rpc_method_handler(handle)


async def test_it_asks_from_a_process_of_its_own_and_tells_what_it_got() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Answers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    asking = Asking(f"127.0.0.1:{port}", _METHOD, "Bearer key", [b"short", b"far too long"], 100.0)
    try:
        async with asyncio.timeout(60), abuser(asking) as one:
            first, second = await one.ask(0.2), await one.ask(0.1)
    finally:
        await server.stop(None)
    assert first == {"OK": 10, "RESOURCE_EXHAUSTED": 10}
    assert second.total() == 10
