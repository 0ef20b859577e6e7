"""What a server adds around its servicers: errors, spans, counts, health, reflection, draining."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fakes.scripted_servicer import ScriptedServicer
from fakes.tracing import spans_in_memory
from steersman.api.v1 import backend_service_pb2 as pb, backend_service_pb2_grpc
from steersman.runtime import errors, rpc_errors
from steersman.runtime.metrics import ProcessMetrics, metrics_server
from steersman.runtime.server import grpc_server
from steersman.runtime.settings import GrpcServer

SERVICE = "steersman.api.v1.BackendService"


class Running:
    """A running server and a stub for it."""

    def __init__(self, address: str, channel: grpc.aio.Channel, metrics: ProcessMetrics) -> None:
        self.address = address
        self.channel = channel
        self.stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        self.metrics = metrics

    def count(self, method: str, code: str) -> float | None:
        labels = {"method": f"{SERVICE}/{method}", "code": code}
        return self.metrics.registry.get_sample_value("steersman_rpcs_total", labels)

    async def counts(self, method: str, code: str) -> None:
        """Wait for the one that failed: it is told before it is counted."""
        async with asyncio.timeout(5):
            while self.count(method, code) != 1:  # noqa: ASYNC110 - a counter has no event to wait for
                await asyncio.sleep(0.01)

    async def get_load(self, **arguments: Any) -> pb.GetLoadResponse:
        response: pb.GetLoadResponse = await self.stub.GetLoad(pb.GetLoadRequest(), timeout=5, **arguments)
        return response

    async def generate(self) -> list[bytes]:
        call = self.stub.Generate(pb.GenerateRequest(), timeout=5)
        return [chunk async for response in call for chunk in response.openai_chunks]


def serving(
    servicer: ScriptedServicer, metrics: ProcessMetrics, **settings: Any
) -> AbstractAsyncContextManager[str]:
    return grpc_server(
        GrpcServer.model_validate({"address": "127.0.0.1:0", "drain_seconds": 5, **settings}),
        metrics=metrics,
        services=[SERVICE],
        register=lambda server: backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
            servicer, server
        ),
    )


@asynccontextmanager
async def running(servicer: ScriptedServicer, **settings: Any) -> AsyncIterator[Running]:
    metrics = ProcessMetrics()
    async with (
        serving(servicer, metrics, **settings) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Running(address, channel, metrics)


@pytest.fixture
def servicer() -> ScriptedServicer:
    return ScriptedServicer()


@pytest.fixture
async def server(servicer: ScriptedServicer) -> AsyncIterator[Running]:
    async with running(servicer) as server:
        yield server


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    yield from spans_in_memory(monkeypatch)


async def test_answers_pass_and_are_counted(server: Running) -> None:
    assert (await server.get_load()).running == 1
    assert await server.generate() == [b"1", b"2"]
    assert server.count("GetLoad", "OK") == 1
    assert server.count("Generate", "OK") == 1


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest("a.b", "is wrong"), "INVALID_ARGUMENT"),
        (errors.Overloaded("full", retry_after_seconds=2), "RESOURCE_EXHAUSTED"),
        (errors.Unavailable("away", reason="ENGINE_UNREACHABLE"), "UNAVAILABLE"),
        (errors.BrokenOff("broke"), "ABORTED"),
        (errors.Refused("no", status=422, body=b"{}"), "FAILED_PRECONDITION"),
    ],
)
async def test_an_error_of_the_tree_becomes_its_status(
    server: Running, servicer: ScriptedServicer, *, error: errors.Error, code: str, streamed: bool
) -> None:
    servicer.error = error
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (server.generate() if streamed else server.get_load())
    assert caught.value.code().name == code
    back = rpc_errors.from_rpc_error(caught.value)
    assert (type(back), back.reason) == (type(error), error.reason)
    await server.counts("Generate" if streamed else "GetLoad", code)


async def test_a_malformed_request_names_its_field(server: Running, servicer: ScriptedServicer) -> None:
    servicer.error = errors.InvalidRequest("messages[1].role", "is not known")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.get_load()
    trailing = dict(caught.value.trailing_metadata())
    assert b"messages[1].role" in trailing[rpc_errors.DETAILS_KEY]
    assert error_details_pb2.BadRequest.DESCRIPTOR.full_name.encode() in trailing[rpc_errors.DETAILS_KEY]


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_unforeseen_failure_is_logged_and_its_text_is_not_told(
    server: Running, servicer: ScriptedServicer, caplog: pytest.LogCaptureFixture, *, streamed: bool
) -> None:
    servicer.error = ValueError("a secret")
    caplog.set_level(logging.ERROR)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (server.generate() if streamed else server.get_load())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details())
    assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in caplog.records)
    servicer.error = None
    assert (await server.get_load()).running == 1


@pytest.mark.parametrize("method", ["Generate", "GetLoad"])
async def test_a_caller_that_leaves_is_counted_as_cancelled(
    server: Running, servicer: ScriptedServicer, method: str
) -> None:
    servicer.held = asyncio.Event()
    call: Any = (
        server.stub.Generate(pb.GenerateRequest())
        if method == "Generate"
        else server.stub.GetLoad(pb.GetLoadRequest())
    )
    await asyncio.wait_for(servicer.began.wait(), 5)
    call.cancel()
    await asyncio.wait_for(servicer.ended.wait(), 5)
    await server.counts(method, "CANCELLED")


async def test_a_request_has_a_span_that_joins_its_callers_trace(
    server: Running, spans: InMemorySpanExporter
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await server.get_load(metadata=(("traceparent", parent), ("odd-bin", b"\x00\xff")))
    (span,) = spans.get_finished_spans()
    assert span.name == f"{SERVICE}/GetLoad"
    assert span.parent is not None
    assert span.attributes is not None
    assert span.attributes["rpc.response.status_code"] == "OK"


async def test_requests_do_not_share_a_span(
    server: Running, servicer: ScriptedServicer, spans: InMemorySpanExporter
) -> None:
    for _ in range(3):
        await server.get_load()
    assert len({context.trace_id for context in servicer.spans}) == 3
    assert all(span.parent is None for span in spans.get_finished_spans())


async def test_a_method_that_does_not_exist_is_unimplemented(server: Running) -> None:
    untyped: Any = server.channel
    for name in (f"/{SERVICE}/Nothing", "/x/y"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await untyped.unary_unary(name)(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_over_the_limit_is_refused_and_the_next_is_unharmed(
    servicer: ScriptedServicer,
) -> None:
    async with running(servicer, max_message_bytes=1000) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.stub.Generate(pb.GenerateRequest(openai_body=b"x" * 2000), timeout=5).read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert isinstance(rpc_errors.from_rpc_error(caught.value), errors.TooLarge)
        assert await server.generate()


async def test_health_reflection_and_channelz_answer(server: Running) -> None:
    channel: Any = server.channel  # these stubs' type information knows no asyncio
    health: Any = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflect: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = reflect.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
    )
    listed = {service.name for service in (await call.read()).list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= listed
    channelz: Any = channelz_pb2_grpc.ChannelzStub(channel)
    assert (await channelz.GetServers(channelz_pb2.GetServersRequest(), timeout=5)).server


async def test_a_port_that_is_taken_is_an_os_error(servicer: ScriptedServicer) -> None:
    async with running(servicer) as first:
        with pytest.raises(OSError, match="cannot listen on"):
            async with running(servicer, address=first.address):
                pass


async def test_draining_lets_requests_finish_and_tells_watchers(servicer: ScriptedServicer) -> None:
    servicer.held = asyncio.Event()
    metrics = ProcessMetrics()
    server = serving(servicer, metrics)
    address = await server.__aenter__()
    async with grpc.aio.insecure_channel(address) as channel:
        watch: Any = health_pb2_grpc.HealthStub(channel)
        watched = watch.Watch(health_pb2.HealthCheckRequest(), timeout=5)
        assert (await watched.read()).status == health_pb2.HealthCheckResponse.SERVING
        asked = asyncio.create_task(Running(address, channel, metrics).generate())
        await asyncio.wait_for(servicer.began.wait(), 5)
        leaving = asyncio.create_task(server.__aexit__(None, None, None))
        assert (await watched.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert metrics.registry.get_sample_value("steersman_draining") == 1
        servicer.held.set()
        assert await asked == [b"1", b"2"]
        watched.cancel()
        await leaving


async def test_draining_does_not_wait_longer_than_allowed(servicer: ScriptedServicer) -> None:
    servicer.held = asyncio.Event()
    metrics = ProcessMetrics()
    server = serving(servicer, metrics, drain_seconds=0.1)
    address = await server.__aenter__()
    async with grpc.aio.insecure_channel(address) as channel:
        asked = asyncio.create_task(Running(address, channel, metrics).generate())
        await asyncio.wait_for(servicer.began.wait(), 5)
        await asyncio.wait_for(server.__aexit__(None, None, None), 5)
        with pytest.raises(grpc.aio.AioRpcError):
            await asked
        await asyncio.wait_for(servicer.ended.wait(), 5)


async def test_metrics_are_served_over_http() -> None:
    metrics = ProcessMetrics()
    metrics.background_failures.labels("x").inc()
    async with (
        metrics_server("127.0.0.1:0", metrics) as address,
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as response,
    ):
        text = await response.text()
    assert 'steersman_background_failures_total{task="x"} 1.0' in text
    assert "process_cpu_seconds_total" in text
    assert re.search(r"^steersman_tasks [1-9]", text, re.MULTILINE)
