from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from fakes.scripted_engine import ScriptedEngine
from fakes.tracing import span_id, spans_in_memory
from steersman.backend.metrics import BackendMetrics
from steersman.backend.openai_body import parse
from steersman.backend.serving import Serving
from steersman.backend.slots import Slots
from steersman.runtime import telemetry
from steersman.runtime.errors import BrokenOff

REQUEST = parse(orjson.dumps({"model": "auto", "messages": [{"content": "what the caller wrote"}]}))
ANSWER = orjson.dumps(
    {
        "choices": [{"message": {"content": "what the model wrote"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 8},
    }
)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    yield from spans_in_memory(monkeypatch)


async def answer(engine: ScriptedEngine) -> None:
    serving = Serving(
        engine=engine,
        slots=Slots(slots=1, length=0),
        metrics=BackendMetrics(CollectorRegistry(), tier="weak"),
        tier="weak",
        max_wait=1,
    )
    request = telemetry.begin("Generate", SpanKind.SERVER, {})
    try:
        async for _ in serving.generate(REQUEST, seconds_left=None):
            pass
    finally:
        request.end()


async def test_an_engine_call_has_a_client_span_by_the_genai_conventions(spans: InMemorySpanExporter) -> None:
    engine = ScriptedEngine(script=([ANSWER],))
    await answer(engine)
    span, request = spans.get_finished_spans()
    assert span.name == "chat the-model"
    assert span.kind is SpanKind.CLIENT
    assert span.parent is not None
    assert span.parent.span_id == span_id(request)
    attributes = dict(span.attributes or {})
    waited = attributes.pop("steersman.queue.wait_seconds")
    assert isinstance(waited, float)
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "fake",
        "gen_ai.request.model": "the-model",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 8,
        "server.address": "engine.example",
        "server.port": 8000,
        "steersman.tier": "weak",
    }
    assert f"{span_id(span):016x}" in engine.headers[0]["traceparent"]


async def test_an_engine_that_is_not_known_yet_has_a_span_too(spans: InMemorySpanExporter) -> None:
    await answer(ScriptedEngine(script=([b"{}"],), served=None))
    span, _ = spans.get_finished_spans()
    assert span.name == "chat unknown"
    assert "gen_ai.usage.input_tokens" not in (span.attributes or {})


async def test_what_was_asked_or_answered_is_in_no_span(spans: InMemorySpanExporter) -> None:
    await answer(ScriptedEngine(script=([ANSWER],)))
    broken = ScriptedEngine(script=([ANSWER], BrokenOff("it wrote", reason="ENGINE_STALLED")))
    with pytest.raises(BrokenOff):
        await answer(broken)
    assert not any("wrote" in span.to_json() for span in spans.get_finished_spans())


async def test_a_failure_is_named_by_its_reason(spans: InMemorySpanExporter) -> None:
    with pytest.raises(BrokenOff):
        await answer(ScriptedEngine(script=(BrokenOff("x", reason="ENGINE_STALLED"),)))
    span = spans.get_finished_spans()[0]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ENGINE_STALLED"
