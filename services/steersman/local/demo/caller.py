"""A caller of the router as a user's program would be one: every way in, and a trace of its own for each query."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import openai
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from steersman.local.addresses import Addresses
from steersman.local.demo.answers import SECONDS, Answer, Outcome
from steersman.local.demo.certificates import Certificates
from steersman.local.demo.grpc_caller import GrpcCaller
from steersman.local.demo.openai_caller import OpenAiCaller
from steersman.local.demo.queries import Messages, Query, Way
from steersman.runtime.exporting import session


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks the router.

    Attributes:
        over_grpc: Its gRPC client.
        with_sdk: Its openai client.
        tracer: Makes its spans.
    """

    over_grpc: GrpcCaller
    with_sdk: OpenAiCaller
    tracer: trace.Tracer

    async def ask(self, query: Query, messages: Messages) -> Outcome:
        """Send a query the way that it names, under a span of its own."""
        with self.tracer.start_as_current_span(query.way.value, kind=SpanKind.CLIENT) as span:
            headers: dict[str, str] = {}
            propagate.inject(headers)
            started = time.monotonic()
            answer = await self._send(query.way, messages, headers)
            seconds = time.monotonic() - started
            trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        return Outcome(query=query, answer=answer, seconds=seconds, trace_id=trace_id)

    async def _send(self, way: Way, messages: Messages, headers: dict[str, str]) -> Answer:
        match way:
            case Way.GRPC_STREAM | Way.GRPC_UNARY:
                return await self.over_grpc.typed(messages, headers, stream=way is Way.GRPC_STREAM)
            case Way.GRPC_STREAM_RAW | Way.GRPC_UNARY_RAW:
                return await self.over_grpc.raw(messages, headers, stream=way is Way.GRPC_STREAM_RAW)
            case Way.OPENAI_STREAM:
                return await self.with_sdk.stream(messages, headers)
            case Way.OPENAI_UNARY:
                return await self.with_sdk.unary(messages, headers)


@asynccontextmanager
async def caller(
    addresses: Addresses, own: Certificates | None, *, otlp_url: str, max_tokens: int
) -> AsyncIterator[Caller]:
    """A caller, as long as the context lasts; its spans have been sent when the context ends.

    Args:
        addresses: Of the system.
        own: What it shows, where hops are private.
        otlp_url: Where its spans go, without a path.
        max_tokens: Most tokens of an answer.
    """
    provider = TracerProvider(resource=Resource.create({"service.name": "demo"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(own, f"{otlp_url}/v1/traces")))
    client = openai.AsyncOpenAI(
        base_url=f"{addresses.router_http}/v1",
        api_key="none",
        timeout=SECONDS,
        max_retries=0,
        http_client=None if own is None else openai.DefaultAsyncHttpxClient(verify=own.context),
    )
    try:
        async with _channel(own, addresses.router_grpc) as channel, client:
            yield Caller(
                over_grpc=GrpcCaller(channel, max_tokens=max_tokens),
                with_sdk=OpenAiCaller(client, max_tokens=max_tokens),
                tracer=provider.get_tracer(__name__),
            )
    finally:
        provider.shutdown()


def _channel(own: Certificates | None, address: str) -> grpc.aio.Channel:
    if own is None:
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address, own.credentials)


def _exporter(own: Certificates | None, url: str) -> OTLPSpanExporter:
    return OTLPSpanExporter(endpoint=url, session=None if own is None else session(own.context))
