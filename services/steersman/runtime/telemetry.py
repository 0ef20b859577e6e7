"""Tracing: set up from OpenTelemetry's standard environment variables, off when none names a collector.

Spans cost next to nothing where a request is not sampled: whether one without a parent is, is drawn here, since to ask
the SDK takes longer than all else that tracing does for a request; and `child` makes a span only under one that
records. Spans are passed on explicitly, as headers, rather than through the task's context, because a request's work
crosses generators and tasks.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as otel_context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from steersman.runtime.exporting import Collector
from steersman.runtime.settings import Tls
from steersman.runtime.tls import PLAIN, Wire

Attributes = Mapping[str, AttributeValue]

_IN_THE_CLEAR: Final = Tls()
_NOTHING: Final = Context()
"""What a request without a parent begins from, whatever its task has done before."""
_TRACER: Final = trace.get_tracer("steersman")
"""Stands for the tracer of whatever provider is set later."""
_QUEUE_SIZE: Final = 2048
"""OpenTelemetry's default of OTEL_BSP_MAX_QUEUE_SIZE."""
_LAST_SECONDS: Final = 3.0
"""Time that the last spans have to reach the collector."""
_DEFAULT_SAMPLED_SHARE: Final = 0.1
"""Share of requests without a parent that are traced, where OTEL_TRACES_SAMPLER says nothing."""
_DRAWN_HERE: Final = "parentbased_traceidratio"
"""The sampler of OTEL_TRACES_SAMPLER that draws by such a share, which is what the chart sets."""


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


class _HashedOnce(Resource):
    """A resource whose hash is kept: the exporter asks for it with each span, and the SDK's own is of its JSON."""

    def __init__(self, like: Resource) -> None:
        super().__init__(like.attributes, like.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


@dataclass(slots=True)
class _Roots:
    """Draws which requests without a parent the provider is asked about at all."""

    share: float = 1.0

    def draw(self) -> bool:
        return self.share >= 1.0 or random.random() < self.share  # noqa: S311 - nothing to guess

    @contextmanager
    def drawn(self, share: float) -> Iterator[None]:
        """Draw so many as long as the context lasts."""
        before, self.share = self.share, share
        try:
            yield
        finally:
            self.share = before


_roots: Final = _Roots()


@asynccontextmanager
async def tracing(
    *,
    service: str,
    version: str,
    on_dropped: Callable[[int], None],
    on_reload: Callable[[str], None] = lambda _: None,
    tls: Tls = _IN_THE_CLEAR,
    wire: Wire = PLAIN,
    begins: bool = True,
) -> AsyncIterator[None]:
    """Trace this process while the context lasts, if the environment names a collector.

    Args:
        service: `service.name`, where OTEL_SERVICE_NAME does not say otherwise.
        version: `service.version`.
        on_dropped: Told how many spans could not be delivered; called from the exporter's thread.
        on_reload: Told whether changed certificates for the collector alone were `taken` or `refused`.
        tls: Says whom this process may ask in the clear.
        wire: How it speaks with others.
        begins: Whether it traces requests without a parent. Behind a process that does, those are what that one has
            chosen not to trace.

    Raises:
        OSError: Certificates for the collector alone cannot be read.
        NotUsable: They are not valid, or the collector would be asked in the clear and may not be.
    """
    collector = Collector.of(os.environ)
    if collector is None or _truthy("OTEL_SDK_DISABLED"):
        with _roots.drawn(0.0 if _nobody_traces() else 1.0):
            yield
        return
    collector.check(tls)
    resource = _HashedOnce(
        Resource.create({"service.version": version, "service.name": _service_name(service)})
    )
    share, sampler = _sampling()
    async with collector.exporter(wire, on_reload) as exporter:
        provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(_BoundedProcessor(_CountingExporter(exporter, on_dropped), on_dropped))
        trace.set_tracer_provider(provider)
        try:
            with _roots.drawn(share if begins else 0.0):
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
    parent = _parent(headers) if "traceparent" in headers else None
    if parent is None and (not _roots.draw() or _nobody_traces()):
        return INVALID_SPAN
    span = _TRACER.start_span(name, context=_NOTHING if parent is None else parent, kind=kind)
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


def _parent(headers: Mapping[str, str]) -> Context | None:
    """The span that headers name; None where they name none that is valid, which is no way around the draw."""
    extracted = propagate.extract(headers)
    return extracted if trace.get_current_span(extracted).get_span_context().is_valid else None


def _sampling() -> tuple[float, Sampler | None]:
    """The share of requests without a parent that are drawn here, and the sampler for those, if it is not the SDK's."""
    name = os.environ.get("OTEL_TRACES_SAMPLER")
    if name is None:
        return _DEFAULT_SAMPLED_SHARE, ParentBased(ALWAYS_ON)
    if name.strip().lower() == _DRAWN_HERE and (share := _share()) is not None:
        return share, ParentBased(ALWAYS_ON)
    return 1.0, None


def _share() -> float | None:
    """What OTEL_TRACES_SAMPLER_ARG says; None where that is no share, which the SDK complains of."""
    with suppress(ValueError):
        share = float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", ""))
        return share if 0.0 <= share <= 1.0 else None
    return None


def _nobody_traces() -> bool:
    """Whether no provider has been set, here or by whoever runs this."""
    return isinstance(_TRACER, trace.ProxyTracer) and isinstance(
        trace.get_tracer_provider(), trace.ProxyTracerProvider
    )


def _shut_down(provider: TracerProvider) -> None:
    """Send what waits; a collector that hangs does not hold up the end, which the SDK would let it do for long."""
    shutting = threading.Thread(target=provider.shutdown, name="tracing shutdown", daemon=True)
    shutting.start()
    shutting.join(_LAST_SECONDS)


def _service_name(default: str) -> str:
    return os.environ.get("OTEL_SERVICE_NAME") or default


def _truthy(name: str) -> bool:
    return os.environ.get(name, "").lower() == "true"
