"""Health at a port of its own: what it tells, and when; also while there is no room left at the port for callers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fakes.scripted_servicer import ScriptedServicer
from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.runtime.health import Health
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.server import grpc_server, health_server
from steersman.runtime.settings import GrpcServer, HealthServer

LOCAL: Final = "127.0.0.1:0"
SERVICE: Final = "steersman.api.v1.BackendService"
_ROOM: Final = 8
_BOTH_SERVING: Final = {"main": "SERVING", "health": "SERVING"}


@dataclass(frozen=True, slots=True)
class Ports:
    """What a process says of itself at its two ports."""

    main: grpc.aio.Channel
    health: grpc.aio.Channel

    async def both(self, service: str) -> dict[str, str]:
        """What each says of a part."""
        return {
            "main": await told(asked(self.main, service)),
            "health": await told(asked(self.health, service)),
        }


def stub(channel: grpc.aio.Channel) -> Any:
    """Kubelet's; its type information knows no asyncio."""
    untyped: Any = channel
    return health_pb2_grpc.HealthStub(untyped)


def asked(channel: grpc.aio.Channel, service: str = "") -> Any:
    """A probe's call."""
    return stub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5)


async def told(call: Any) -> str:
    """The status that comes of it, or the code of the refusal to tell one."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as refused:
        return refused.code().name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@asynccontextmanager
async def asked_at_its_own_port(health: Health) -> AsyncIterator[grpc.aio.Channel]:
    async with health_server(HealthServer(address=LOCAL), health) as address:
        assert address is not None
        async with grpc.aio.insecure_channel(address) as channel:
            yield channel


@asynccontextmanager
async def callers_port(health: Health, servicer: ScriptedServicer, **settings: int) -> AsyncIterator[str]:
    async with grpc_server(
        GrpcServer.model_validate(
            {"address": LOCAL, "drain_seconds": 5, "max_waiting_rpcs": _ROOM, **settings}
        ),
        metrics=ProcessMetrics(),
        services=[SERVICE],
        register=lambda to: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(servicer, to),
        health=health,
    ) as address:
        yield address


@asynccontextmanager
async def serving(health: Health, servicer: ScriptedServicer, **settings: int) -> AsyncIterator[Ports]:
    async with (
        asked_at_its_own_port(health) as own,
        callers_port(health, servicer, **settings) as address,
        grpc.aio.insecure_channel(address) as main,
    ):
        yield Ports(main, own)


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def ports(health: Health) -> AsyncIterator[Ports]:
    """Those of a process that serves."""
    async with serving(health, ScriptedServicer()) as ports:
        yield ports


async def test_both_ports_say_the_same_of_every_part(ports: Ports, health: Health) -> None:
    await health.set("engine", health_pb2.HealthCheckResponse.SERVING)
    await health.set("lease", health_pb2.HealthCheckResponse.NOT_SERVING)
    for service in ("", SERVICE, "engine"):
        assert await ports.both(service) == _BOTH_SERVING
    assert await ports.both("lease") == {"main": "NOT_SERVING", "health": "NOT_SERVING"}
    assert await ports.both("nothing") == {"main": "NOT_FOUND", "health": "NOT_FOUND"}
    await health.set("engine", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert await ports.both("engine") == {"main": "NOT_SERVING", "health": "NOT_SERVING"}


async def test_a_process_does_not_serve_before_callers_can_reach_it_nor_while_it_drains(
    health: Health,
) -> None:
    servicer = ScriptedServicer()
    servicer.held = asyncio.Event()
    async with asked_at_its_own_port(health) as own, AsyncExitStack() as stack:
        assert await told(asked(own)) == "NOT_SERVING"
        server = AsyncExitStack()
        address = await server.enter_async_context(callers_port(health, servicer))
        assert await told(asked(own)) == "SERVING"
        main = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        watch = stub(main).Watch(health_pb2.HealthCheckRequest(), timeout=10)
        await watch.read()
        call: Any = backend_service_pb2_grpc.BackendServiceStub(main).GetLoad(pb.GetLoadRequest())
        await asyncio.wait_for(servicer.began.wait(), 5)
        drain = asyncio.create_task(server.aclose())
        await watch.read()
        watch.cancel()
        assert await told(asked(own)) == "NOT_SERVING"
        assert not drain.done()
        servicer.held.set()
        assert (await call).running == 1
        await drain
        assert await told(asked(own)) == "NOT_SERVING"


async def test_health_is_told_while_as_many_calls_are_in_progress_as_may_be(health: Health) -> None:
    servicer = ScriptedServicer()
    servicer.held = asyncio.Event()
    async with serving(health, servicer, max_concurrent_rpcs=1) as ports:
        call: Any = backend_service_pb2_grpc.BackendServiceStub(ports.main).GetLoad(pb.GetLoadRequest())
        await asyncio.wait_for(servicer.began.wait(), 5)
        assert await ports.both("") == {"main": "RESOURCE_EXHAUSTED", "health": "SERVING"}
        servicer.held.set()
        assert (await call).running == 1


async def test_health_is_told_while_callers_ask_for_more_than_is_taken_up(ports: Ports) -> None:
    assert await ports.both("") == _BOTH_SERVING  # the connections are there
    callers = backend_service_pb2_grpc.BackendServiceStub(ports.main)
    flood = [callers.GetLoad(pb.GetLoadRequest(), timeout=5) for _ in range(100)]
    flood += [asked(ports.main) for _ in range(100)]  # each method has a queue of its own
    probes = {"main": asked(ports.main), "health": asked(ports.health)}
    await asyncio.sleep(0)  # all have been sent
    time.sleep(0.3)  # noqa: ASYNC251 - it is what the loop does that is meant
    answers = {port: await told(probe) for port, probe in probes.items()}
    assert answers == {"main": "CANCELLED", "health": "SERVING"}
    assert {(await call.code()).name for call in flood} == {"OK", "CANCELLED"}


async def test_nothing_is_told_there_but_health_now(ports: Ports) -> None:
    untyped: Any = ports.health
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(ports.health).Watch(health_pb2.HealthCheckRequest(), timeout=5).read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    for method in (
        f"/{SERVICE}/GetLoad",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.channelz.v1.Channelz/GetServers",
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await untyped.unary_unary(method)(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_longer_name_than_any_part_has_is_not_read(ports: Ports) -> None:
    assert await told(asked(ports.health, "x" * 10_000)) == "RESOURCE_EXHAUSTED"


async def test_a_port_that_is_taken_is_an_os_error(health: Health) -> None:
    async with health_server(HealthServer(address=LOCAL), health) as address:
        with pytest.raises(OSError, match="cannot listen on"):
            async with health_server(HealthServer(address=address), health):
                pass


async def test_where_no_port_is_set_there_is_none(health: Health) -> None:
    async with health_server(HealthServer(), health) as address:
        assert address is None
