"""SIGTERM to a router that is at work: everything begun is finished, nothing new is taken, and it ends well."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2

from fakes.engine import FakeEngine, fake_engine
from fixtures.callers import Caller, body, calling, failure, fetch, responses, until
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.api.v1 import demand_service_pb2


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with fake_engine(hold_after=2) as engine:
        yield engine


@pytest.fixture
async def router(start_router: StartRouter, engine: FakeEngine) -> Router:
    tier = direct(engine.url)
    return await start_router(policies(tier, tier))


@pytest.fixture
async def caller(router: Router) -> AsyncIterator[Caller]:
    async with calling(router.grpc) as caller:
        yield caller


async def refuses(router: Router) -> bool:
    """Whether neither port takes a connection any more."""
    for address in (router.http.removeprefix("http://"), router.grpc):
        host, port = address.split(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            continue
        writer.close()
        return False
    return True


async def test_what_has_begun_is_finished_and_what_is_new_is_refused(
    router: Router, caller: Caller, engine: FakeEngine
) -> None:
    async with AsyncExitStack() as stack:
        url = f"{router.http}/v1/chat/completions"
        session = await stack.enter_async_context(aiohttp.ClientSession())
        chats = [caller.chat(model="weak") for _ in range(3)]
        for chat in chats:
            await chat.read()
        response = await stack.enter_async_context(session.post(url, data=body(stream=True)))
        engine.hold_before_answer = True
        whole = asyncio.create_task(fetch(url, data=body()))
        await engine.until(running=5)
        router.process.send(signal.SIGTERM)
        await until(lambda: refuses(router))
        assert router.process.running
        engine.release()
        for chat in chats:
            rest = await responses(chat)
            assert rest[-1].summary.finish_reason == "stop"
        assert (await response.read()).endswith(b"data: [DONE]\n\n")
        assert (await whole).json["choices"][0]["message"]["content"] == "Hello there!"
    assert await asyncio.wait_for(router.process.ended(), 10) == 0


async def test_health_says_not_serving_while_it_drains(
    router: Router, caller: Caller, engine: FakeEngine
) -> None:
    chat = caller.chat(model="weak")
    await chat.read()
    watch = caller.health.Watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    router.process.send(signal.SIGTERM)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()
    engine.release()
    assert (await responses(chat))[-1].HasField("summary")
    assert await asyncio.wait_for(router.process.ended(), 10) == 0


async def test_a_demand_stream_and_an_idle_connection_do_not_hold_it_up(
    router: Router, caller: Caller
) -> None:
    watch = caller.demand.StreamDemand(demand_service_pb2.StreamDemandRequest(), timeout=60)
    await watch.read()
    host, port = router.http.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    router.process.send(signal.SIGTERM)
    assert await asyncio.wait_for(router.process.ended(), 5) == 0
    while (await watch.read()) is not grpc.aio.EOF:
        pass
    assert await watch.code() is grpc.StatusCode.OK
    writer.close()


async def test_an_idle_router_ends_at_once_on_an_interrupt_too(router: Router) -> None:
    router.process.send(signal.SIGINT)
    assert await asyncio.wait_for(router.process.ended(), 5) == 0
    assert b"Traceback" not in router.process.log.read_bytes()


async def test_a_connection_that_grows_old_is_replaced_and_its_streams_are_finished(
    start_router: StartRouter, engine: FakeEngine
) -> None:
    tier = direct(engine.url)
    router = await start_router(policies(tier, tier), settings={"GRPC__MAX_CONNECTION_AGE_SECONDS": 0.5})
    async with calling(router.grpc) as caller:
        chat = caller.chat(model="weak")
        await chat.read()
        first = await sockets(caller)

        async def replaced() -> bool:
            return not await sockets(caller) <= first

        await until(replaced)
        engine.release()
        assert (await responses(chat))[-1].HasField("summary")


async def sockets(caller: Caller) -> set[int]:
    """Ids of the connections to the server, by its own word, which takes one to ask."""
    stub: Any = channelz_pb2_grpc.ChannelzStub(caller.channel)  # type: ignore[arg-type]  # its types know no aio
    servers = await stub.GetServers(channelz_pb2.GetServersRequest(start_server_id=0), timeout=5)
    request = channelz_pb2.GetServerSocketsRequest(server_id=servers.server[0].ref.server_id)
    return {ref.socket_id for ref in (await stub.GetServerSockets(request, timeout=5)).socket_ref}


async def test_what_does_not_finish_in_the_time_allowed_ends_with_an_error(
    start_router: StartRouter, engine: FakeEngine
) -> None:
    tier = direct(engine.url)
    router = await start_router(policies(tier, tier), settings={"GRPC__DRAIN_SECONDS": 0.5})
    async with calling(router.grpc) as caller:
        chat = caller.chat(model="weak")
        await chat.read()
        router.process.send(signal.SIGTERM)
        error = await failure(responses(chat))
        assert error.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert await asyncio.wait_for(router.process.ended(), 10) == 0
    await engine.until(running=0)
