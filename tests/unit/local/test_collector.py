"""The collector takes both encodings over HTTP and shows what it keeps."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import orjson
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from steersman.local.collector import Collector
from steersman.local.traces import Traces

TRACE = "0af7651916cd43dd8448eb211c80319c"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
Client = TestClient[Request, Application]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(Collector(Traces()).app())) as client:
        yield client


def protobuf(name: str = "Route") -> bytes:
    span = Span(trace_id=bytes.fromhex(TRACE), span_id=b"12345678", name=name)
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]
    ).SerializeToString()


def json() -> bytes:
    span = {
        "traceId": TRACE,
        "spanId": "3837363534333231",
        "parentSpanId": "3132333435363738",
        "name": "Infer",
    }
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


async def test_spans_of_both_encodings_meet_in_one_trace(client: Client) -> None:
    first = await client.post("/v1/traces", data=protobuf(), headers=PROTOBUF)
    second = await client.post("/v1/traces", data=json(), headers={"Content-Type": "application/json"})
    assert (first.status, second.status) == (200, 200)
    assert (await first.read(), await second.read()) == (b"", b"{}")
    assert second.content_type == "application/json"
    shown = await (await client.get(f"/traces/{TRACE}")).json()
    assert [span["name"] for span in shown["spans"]] == ["Route", "Infer"]
    tree = await (await client.get(f"/traces/{TRACE}/tree")).text()
    assert tree.splitlines()[1].startswith("└─ unknown: Infer")


async def test_a_compressed_body_is_read(client: Client) -> None:
    headers = {**PROTOBUF, "Content-Encoding": "gzip"}
    assert (await client.post("/v1/traces", data=gzip.compress(protobuf()), headers=headers)).status == 200
    assert (await client.get(f"/traces/{TRACE}")).status == 200


async def test_traces_are_listed_with_their_root(client: Client) -> None:
    await client.post("/v1/traces", data=protobuf("Chat"), headers=PROTOBUF)
    [listed] = (await (await client.get("/traces")).json())["traces"]
    assert (listed["trace_id"], listed["root"], listed["spans"]) == (TRACE, "Chat", 1)


async def test_a_body_that_is_no_otlp_is_a_bad_request(client: Client) -> None:
    response = await client.post("/v1/traces", data=b"\xff\xff", headers=PROTOBUF)
    assert response.status == 400
    assert (await client.get("/traces")).status == 200


async def test_an_unknown_trace_is_not_found(client: Client) -> None:
    assert (await client.get("/traces/none")).status == 404
    assert (await client.get("/traces/none/tree")).status == 404


async def test_metrics_and_logs_are_counted(client: Client) -> None:
    for path in ("/v1/metrics", "/v1/metrics", "/v1/logs"):
        assert (await client.post(path, data=b"", headers=PROTOBUF)).status == 200
    counts = await (await client.get("/counts")).json()
    assert (counts["metrics"], counts["logs"], counts["dropped_spans"]) == (2, 1, 0)
