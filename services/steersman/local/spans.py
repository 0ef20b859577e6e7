"""Spans as the local collector keeps them, read from OTLP in both of its encodings.

Triton's tracer sends OTLP as JSON, everybody else protobuf. OTLP's JSON differs from protobuf's own mapping in one way
(ids are hexadecimal, not base64), so it is brought into that form and read by the same code.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan, Status

Attribute = str | bool | int | float | list["Attribute"]
Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_DEEPEST: Final = 64
"""Levels of a JSON body that are looked at."""


class Malformed(ValueError):
    """A body is no OTLP."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: That of its parent; empty for a root.
        service: The process that made it (`service.name`).
        name: What was done.
        kind: The role in a call: INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER or UNSPECIFIED.
        start_ns: When it began, in nanoseconds since the epoch.
        end_ns: When it ended.
        error: What went wrong, empty when nothing did.
        attributes: What else is known.
        events: Names of what happened meanwhile, in order.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    error: str
    attributes: dict[str, Attribute]
    events: tuple[str, ...]

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e6

    def to_json(self) -> dict[str, object]:
        """Its fields, for a JSON encoder."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Span:
        """Read what `to_json` made."""
        return cls(**{**fields, "events": tuple(fields["events"])})


def from_protobuf(body: bytes) -> list[Span]:
    """Read the protobuf encoding."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed("not an OTLP trace in protobuf") from error
    return list(_spans(request))


def from_json(body: bytes) -> list[Span]:
    """Read the JSON encoding."""
    request = ExportTraceServiceRequest()
    try:
        content = _with_base64_ids(orjson.loads(body), depth=0)
        if not isinstance(content, dict):
            raise Malformed("not a JSON object")
        json_format.ParseDict(content, request, ignore_unknown_fields=True)
    except (orjson.JSONDecodeError, binascii.Error, json_format.ParseError) as error:
        raise Malformed("not an OTLP trace in JSON") from error
    return list(_spans(request))


def _with_base64_ids(value: Json, *, depth: int) -> Json:
    if depth > _DEEPEST:
        raise Malformed("nested too deeply")
    if isinstance(value, list):
        return [_with_base64_ids(each, depth=depth + 1) for each in value]
    if isinstance(value, dict):
        return {
            key: _base64(each) if key in _IDS else _with_base64_ids(each, depth=depth + 1)
            for key, each in value.items()
        }
    return value


def _base64(hexadecimal: Json) -> str:
    if not isinstance(hexadecimal, str):
        raise Malformed("an id is no text")
    return base64.b64encode(binascii.unhexlify(hexadecimal)).decode()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        service = str(_attributes(resource_spans.resource.attributes).get("service.name", "unknown"))
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _span(span, service)


def _span(span: OtlpSpan, service: str) -> Span:
    failed = span.status.code == Status.STATUS_CODE_ERROR
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id="" if not any(span.parent_span_id) else span.parent_span_id.hex(),
        service=service,
        name=span.name,
        kind=OtlpSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        error=(span.status.message or "error") if failed else "",
        attributes=_attributes(span.attributes),
        events=tuple(event.name for event in span.events),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Attribute]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Attribute:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case _:
            return str(value)
