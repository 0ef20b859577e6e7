"""Tracing: set up from OpenTelemetry's standard environment variables, off when none names a collector.

Spans cost nothing where a request is not sampled: `child` makes one only under a span that records. Spans are passed
on explicitly, as headers, rather than through the task's context, because a request's work crosses generators and
tasks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel_context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

Attributes = Mapping[str, AttributeValue]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACER: Final = trace.get_tracer("steersman")
"""Stands for the tracer of whatever provider is set later."""
_QUEUE_SIZE: Final = 2048
"""OpenTelemetry's default of OTEL_BSP_MAX_QUEUE_SIZE."""
_LAST_SECONDS: Final = 3.0
"""Time that the last spans have to reach the collector."""
_DEFAULT_SAMPLED_SHARE: Final = 0.1
"""Share of requests without a sampled parent that are traced, where OTEL_TRACES_SAMPLER says nothing."""


class _CountingExporter(SpanExporter):
    """Counts the spans that a collector did not take."""

    def __init__(self, exporter: SpanExporter, on_dropped: Callable[[int], None]) -> None:
        self._exporter = exporter
        self._on_dropped = on_dropped
        self.begun = 0
        """Spans so far that have left the queue."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand spans to the collector."""
        self.begun += len(spans)
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._on_dropped(len(spans))
        return result

    def shutdown(self) -> None:
        """Close the connection to the collector."""
        self._exporter.shutdown()


class _BoundedProcessor(BatchSpanProcessor):
    """Drops and counts the spans that its queue has no room for, where the SDK's own would log each of them."""

    def __init__(self, exporter: _CountingExporter, on_dropped: Callable[[int], None]) -> None:
        self._room = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or _QUEUE_SIZE)
        super().__init__(exporter, max_queue_size=self._room)
        self._counting = exporter
        self._queued = 0
        self._on_dropped = on_dropped

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that has ended."""
        # Each of the two numbers is written by one thread alone.
        if self._queued - self._counting.begun >= self._room:
            self._on_dropped(1)
        elif span.context is not None and span.context.trace_flags.sampled:
            self._queued += 1
            super().on_end(span)


@contextmanager
def tracing(*, service: str, version: str, on_dropped: Callable[[int], None]) -> Iterator[None]:
    """Trace this process while the context lasts, if the environment names a collector.

    Args:
        service: `service.name`, where OTEL_SERVICE_NAME does not say otherwise.
        version: `service.version`.
        on_dropped: Told how many spans could not be delivered; called from the exporter's thread.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS) or _truthy("OTEL_SDK_DISABLED"):
        yield
        return
    resource = Resource.create({"service.version": version, "service.name": _service_name(service)})
    sampler = None
    if "OTEL_TRACES_SAMPLER" not in os.environ:
        sampler = ParentBased(TraceIdRatioBased(_DEFAULT_SAMPLED_SHARE))
    provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    exporter = _CountingExporter(_exporter(), on_dropped)
    provider.add_span_processor(_BoundedProcessor(exporter, on_dropped))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        _shut_down(provider)


def begin(name: str, kind: SpanKind, headers: Mapping[str, str]) -> Span:
    """Start the span of an incoming request and make it the current one of this task.

    Args:
        name: Low in cardinality: a method, never a path with ids.
        kind: SERVER, for whoever calls this.
        headers: The request's headers, lower case; W3C trace context is read from them.
    """
    parent = propagate.extract(headers) if "traceparent" in headers else None
    span = _TRACER.start_span(name, context=parent, kind=kind)
    if span.get_span_context().is_valid:
        otel_context.attach(trace.set_span_in_context(span))
    return span


@contextmanager
def child(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes | None = None
) -> Iterator[Span]:
    """A span under the current one, as long as the context lasts; a no-op where that one is not recorded.

    It does not become the current span. An exception that leaves the context marks it as failed; a cancellation is
    named as such.
    """
    parent = trace.get_current_span()
    if not parent.is_recording():
        yield INVALID_SPAN
        return
    span = _TRACER.start_span(
        name, context=trace.set_span_in_context(parent), kind=kind, attributes=attributes
    )
    try:
        yield span
    except BaseException as error:
        fail(span, error)
        raise
    finally:
        span.end()


def fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed, by the error's class alone: its text may hold what a caller wrote."""
    reason = getattr(error, "reason", type(error).__name__)
    span.set_attribute("error.type", reason)
    span.set_status(Status(StatusCode.ERROR, reason))


def headers_of(span: Span) -> dict[str, str]:
    """W3C trace context of a span, as headers for the next hop; empty where nothing is traced."""
    if not span.get_span_context().is_valid:
        span = trace.get_current_span()
    if not span.get_span_context().trace_flags.sampled:
        return {}
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context=trace.set_span_in_context(span))
    return carrier


def _shut_down(provider: TracerProvider) -> None:
    """Send what waits; a collector that hangs does not hold up the end, which the SDK would let it do for long."""
    shutting = threading.Thread(target=provider.shutdown, name="tracing shutdown", daemon=True)
    shutting.start()
    shutting.join(_LAST_SECONDS)


def _exporter() -> SpanExporter:
    # Imported here, since each brings its own transport, and a process needs one of them or none.
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").startswith("http"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see above
            OTLPSpanExporter as HttpExporter,
        )

        return HttpExporter()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - see above
        OTLPSpanExporter as GrpcExporter,
    )

    return GrpcExporter()


def _service_name(default: str) -> str:
    return os.environ.get("OTEL_SERVICE_NAME") or default


def _truthy(name: str) -> bool:
    return os.environ.get(name, "").lower() == "true"
