from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from fakes.tracing import span_id, spans_in_memory
from steersman.runtime import telemetry
from steersman.runtime.errors import BrokenOff

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
UNSAMPLED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    yield from spans_in_memory(monkeypatch)


@pytest.fixture
def unsampled(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    yield from spans_in_memory(monkeypatch, ParentBased(ALWAYS_OFF))


async def test_a_request_joins_the_trace_that_its_headers_name(spans: InMemorySpanExporter) -> None:
    telemetry.begin("method", SpanKind.SERVER, PARENT).end()
    (span,) = spans.get_finished_spans()
    assert span.parent is not None
    assert trace.format_span_id(span.parent.span_id) == "b7ad6b7169203331"


async def test_a_request_without_headers_begins_a_trace(spans: InMemorySpanExporter) -> None:
    telemetry.begin("method", SpanKind.SERVER, {}).end()
    (span,) = spans.get_finished_spans()
    assert span.parent is None


async def test_a_child_belongs_to_the_request_of_its_task(spans: InMemorySpanExporter) -> None:
    async def request(name: str) -> None:
        span = telemetry.begin(name, SpanKind.SERVER, {})
        await asyncio.sleep(0)
        with telemetry.child(f"{name}-child", attributes={"a": 1}):
            await asyncio.sleep(0)
        span.end()

    await asyncio.gather(*(asyncio.create_task(request(name)) for name in "xyz"))
    found = {span.name: span for span in spans.get_finished_spans()}
    for name in "xyz":
        child = found[f"{name}-child"]
        assert child.parent is not None
        assert child.parent.span_id == span_id(found[name])
        assert child.attributes == {"a": 1}


async def test_a_child_that_fails_names_the_reason_and_no_text(spans: InMemorySpanExporter) -> None:
    telemetry.begin("method", SpanKind.SERVER, {})
    with pytest.raises(BrokenOff), telemetry.child("failing"):
        raise BrokenOff("what the caller wrote", reason="ENGINE_STALLED")
    with pytest.raises(ValueError, match="wrote"), telemetry.child("crashing"):
        raise ValueError("what the caller wrote")
    for span, reason in zip(spans.get_finished_spans(), ["ENGINE_STALLED", "ValueError"], strict=True):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["error.type"] == reason
        assert "wrote" not in span.to_json()


async def test_nothing_is_made_where_the_request_is_not_sampled(unsampled: InMemorySpanExporter) -> None:
    telemetry.begin("method", SpanKind.SERVER, {}).end()
    with telemetry.child("child") as span:
        assert not span.is_recording()
        assert telemetry.headers_of(span) == {}
    assert unsampled.get_finished_spans() == ()


async def test_a_parent_that_is_not_sampled_is_respected(spans: InMemorySpanExporter) -> None:
    telemetry.begin("method", SpanKind.SERVER, UNSAMPLED).end()
    assert spans.get_finished_spans() == ()


@pytest.mark.usefixtures("spans")
async def test_headers_name_the_span_that_is_handed_over() -> None:
    telemetry.begin("method", SpanKind.SERVER, PARENT)
    with telemetry.child("call") as span:
        own_id = trace.format_span_id(span.get_span_context().span_id)
        assert telemetry.headers_of(span) == {
            "traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{own_id}-01"
        }


async def test_malformed_headers_do_no_harm(spans: InMemorySpanExporter) -> None:
    for text in ("", "00", "zz-1-2-3", "\x00", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 10_000):
        telemetry.begin("method", SpanKind.SERVER, {"traceparent": text}).end()
    assert len(spans.get_finished_spans()) == 6


async def test_of_requests_without_a_parent_a_share_is_traced(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry._roots, "share", 0.25)
    for _ in range(1000):
        telemetry.begin("method", SpanKind.SERVER, {}).end()
    assert 150 < len(spans.get_finished_spans()) < 350


async def test_a_request_that_is_not_drawn_costs_no_span(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry._roots, "share", 0.0)
    assert telemetry.begin("method", SpanKind.SERVER, {}) is trace.INVALID_SPAN
    with telemetry.child("child") as span:
        assert telemetry.headers_of(span) == {}
    assert spans.get_finished_spans() == ()


async def test_a_sampled_parent_is_traced_whatever_the_share_and_a_malformed_one_is_none(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry._roots, "share", 0.0)
    telemetry.begin("malformed", SpanKind.SERVER, {"traceparent": "00-1-2-01"}).end()
    telemetry.begin("sampled", SpanKind.SERVER, PARENT).end()
    assert [span.name for span in spans.get_finished_spans()] == ["sampled"]


@pytest.mark.parametrize(
    ("sampler", "argument", "share", "by_us"),
    [
        pytest.param(None, None, 0.1, True, id="nothing"),
        pytest.param("parentbased_traceidratio", "0.02", 0.02, True, id="what-the-chart-says"),
        pytest.param("parentbased_traceidratio", None, 1.0, False, id="no-share"),
        pytest.param("parentbased_traceidratio", "all", 1.0, False, id="what-is-no-number"),
        pytest.param("parentbased_traceidratio", "7", 1.0, False, id="what-is-no-share"),
        pytest.param("parentbased_always_on", None, 1.0, False, id="another-sampler"),
        pytest.param("traceidratio", "0.5", 1.0, False, id="one-that-heeds-no-parent"),
    ],
)
def test_only_the_share_of_a_sampler_that_heeds_parents_is_drawn_here(
    monkeypatch: pytest.MonkeyPatch, sampler: str | None, argument: str | None, share: float, *, by_us: bool
) -> None:
    for name, value in (("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    drawn, ours = telemetry._sampling()
    assert (drawn, ours is not None) == (share, by_us)


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_SDK_DISABLED": "true"}]
)
async def test_tracing_is_off_without_a_collector_or_when_disabled(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = trace.get_tracer_provider()
    async with telemetry.tracing(service="x", version="1", on_dropped=lambda _: None):
        assert trace.get_tracer_provider() is before
