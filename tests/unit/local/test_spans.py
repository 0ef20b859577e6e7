"""Spans are read from both encodings of OTLP, and drawn as a tree."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given, strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span as OtlpSpan, Status

from steersman.local import spans, traces
from steersman.local.spans import Span

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_span_is_read_from_protobuf() -> None:
    otlp = OtlpSpan(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex("b7ad6b7169203331"),
        parent_span_id=bytes(8),
        name="Route",
        kind=OtlpSpan.SPAN_KIND_SERVER,
        start_time_unix_nano=1_000_000,
        end_time_unix_nano=3_500_000,
        attributes=[
            KeyValue(key="tokens", value=AnyValue(int_value=7)),
            KeyValue(key="share", value=AnyValue(double_value=0.5)),
            KeyValue(key="hit", value=AnyValue(bool_value=True)),
        ],
        status=Status(code=Status.STATUS_CODE_ERROR, message="too slow"),
        events=[OtlpSpan.Event(name="retry")],
    )
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="router"))])
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[otlp])])]
    )
    [span] = spans.from_protobuf(request.SerializeToString())
    assert span == Span(
        trace_id=TRACE,
        span_id="b7ad6b7169203331",
        parent_id="",
        service="router",
        name="Route",
        kind="SERVER",
        start_ns=1_000_000,
        end_ns=3_500_000,
        error="too slow",
        attributes={"tokens": 7, "share": 0.5, "hit": True},
        events=("retry",),
    )
    assert span.milliseconds == 2.5


def test_a_span_is_read_from_json_with_hexadecimal_ids() -> None:
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "triton"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "triton-server", "version": ""},
                        "spans": [
                            {
                                "traceId": TRACE,
                                "spanId": "b7ad6b7169203331",
                                "parentSpanId": "00f067aa0ba902b7",
                                "name": "InferRequest",
                                "kind": 2,
                                "startTimeUnixNano": "5",
                                "endTimeUnixNano": 9,
                                "attributes": [
                                    {
                                        "key": "versions",
                                        "value": {"arrayValue": {"values": [{"intValue": "1"}]}},
                                    }
                                ],
                                "unknown to this version": 1,
                            }
                        ],
                    }
                ],
            }
        ]
    }
    [span] = spans.from_json(orjson.dumps(body))
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE, "b7ad6b7169203331", "00f067aa0ba902b7")
    assert (span.service, span.kind, span.start_ns, span.end_ns) == ("triton", "SERVER", 5, 9)
    assert span.attributes == {"versions": [1]}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"resourceSpans": 1}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}',
        b"[" * 100 + b"]" * 100,
    ],
)
def test_what_is_no_otlp_is_refused(body: bytes) -> None:
    with pytest.raises(spans.Malformed):
        spans.from_json(body)


@given(st.binary(max_size=200))
def test_bytes_from_anywhere_are_read_or_refused(body: bytes) -> None:
    for read in (spans.from_protobuf, spans.from_json):
        try:
            read(body)
        except spans.Malformed:
            continue


def span(span_id: str, *, parent: str = "", start: int = 0, end: int = 10, trace: str = TRACE) -> Span:
    return Span(
        trace_id=trace,
        span_id=span_id,
        parent_id=parent,
        service="s",
        name=span_id,
        kind="INTERNAL",
        start_ns=start * 1_000_000,
        end_ns=end * 1_000_000,
        error="",
        attributes={},
        events=(),
    )


def drawn(*kept: Span) -> Sequence[str]:
    return [line.branch + line.span.name for line in traces.tree(kept)]


def test_a_tree_shows_children_below_their_parent_in_the_order_of_their_beginning() -> None:
    assert drawn(
        span("late", parent="root", start=5),
        span("leaf", parent="early", start=3),
        span("root"),
        span("early", parent="root", start=2),
    ) == ["root", "├─ early", "│  └─ leaf", "└─ late"]


def test_a_span_whose_parent_is_missing_is_shown_at_the_root() -> None:
    assert drawn(span("orphan", parent="gone", start=1), span("root")) == ["root", "orphan"]


def test_a_tree_as_text_has_a_line_a_span_with_its_beginning_and_length() -> None:
    text = traces.as_text(
        traces.tree([span("root", start=100, end=112), span("leaf", parent="root", start=105, end=106)])
    )
    first, second = text.splitlines()
    assert first.startswith("s: root")
    assert first.endswith("12.00 ms")
    assert second.startswith("└─ s: leaf")
    assert "+     5.00 ms" in second


def test_an_empty_trace_draws_nothing() -> None:
    assert traces.as_text(traces.tree([])) == ""


def test_the_oldest_trace_makes_room() -> None:
    kept = traces.Traces(max_traces=2)
    kept.add(span(each, trace=each) for each in ("a", "b", "c"))
    assert kept.ids() == ["c", "b"]
    assert kept.get("a") == []


def test_a_trace_takes_so_many_spans_and_counts_the_rest() -> None:
    kept = traces.Traces(max_spans=2)
    kept.add(span(each) for each in ("a", "b", "c"))
    assert len(kept.get(TRACE)) == 2
    assert kept.dropped == 1
