"""The span around an engine call, by OpenTelemetry's semantic conventions for generative AI clients. No prompt text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind

from steersman.backend.model import Ending
from steersman.backend.ports import Engine
from steersman.runtime import telemetry


@contextmanager
def engine_call(engine: Engine, *, tier: str, waited: float) -> Iterator[Span]:
    """A CLIENT span as long as the engine is at work.

    Args:
        engine: Who is called.
        tier: The backend's tier.
        waited: Seconds that the request waited for a slot before.
    """
    served = engine.served
    model = served.name if served is not None else "unknown"
    with telemetry.child(f"chat {model}", kind=SpanKind.CLIENT) as span:
        if span.is_recording():
            host, port = engine.address
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": served.provider if served is not None else "unknown",
                    "gen_ai.request.model": model,
                    "server.address": host,
                    "server.port": port,
                    "steersman.tier": tier,
                    "steersman.queue.wait_seconds": waited,
                }
            )
        yield span


def ended(span: Span, ending: Ending) -> None:
    """Note how the answer ended."""
    if not span.is_recording():
        return
    span.set_attribute("gen_ai.response.finish_reasons", ending.finish_reasons)
    if ending.input_tokens is not None:
        span.set_attribute("gen_ai.usage.input_tokens", ending.input_tokens)
    if ending.output_tokens is not None:
        span.set_attribute("gen_ai.usage.output_tokens", ending.output_tokens)
