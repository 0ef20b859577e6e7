"""The backend's Prometheus metrics. Gauges are read when they are scraped, so that requests do not pay for them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from steersman.backend.model import Ending, Load
from steersman.openai_api import refusals
from steersman.runtime.instruments import Counter, Distribution, Histogram
from steersman.runtime.metrics import ANSWER_BUCKETS


class BackendMetrics:
    """Queue, engine and tokens of one backend.

    Args:
        registry: Where they are registered.
        tier: The backend's tier, a label of each.
    """

    def __init__(self, registry: CollectorRegistry, *, tier: str) -> None:
        def histogram(name: str, text: str) -> Distribution:
            made = Histogram(name, text, ("tier",), buckets=ANSWER_BUCKETS, registry=registry)
            return made.labels(tier)

        self._registry = registry
        self._tier = tier
        self.queue_wait = histogram(
            "steersman_backend_queue_wait_seconds", "Time that a request waited for a slot."
        )
        self.first_byte = histogram(
            "steersman_backend_first_byte_seconds",
            "Time from asking the engine to the first chunk of a stream.",
        )
        self._errors = Counter(
            "steersman_backend_engine_errors",
            "Answers that failed, by reason.",
            ("tier", "reason"),
            registry=registry,
        )
        for reason in refusals.REASONS:  # shown from the start, so that the first one is an increase
            self._errors.labels(tier, reason)
        tokens = Counter(
            "steersman_backend_tokens",
            "Tokens, as the engine counts them.",
            ("tier", "direction"),
            registry=registry,
        )
        self._tokens_in = tokens.labels(tier, "input")
        self._tokens_out = tokens.labels(tier, "output")

    def observe_load(self, load: Callable[[], Load], *, reachable: Callable[[], bool]) -> None:
        """Show a load and whether the engine is reachable; both are called when scraped, from another thread."""
        self._gauge("requests_waiting", "Requests that wait for a slot.", lambda: load().waiting)
        self._gauge("requests_running", "Requests that the engine works on.", lambda: load().running)
        self._gauge("slots", "Requests that the engine works on at once.", lambda: load().slots)
        self._gauge("tokens_per_second", "Answer tokens a second.", lambda: load().tokens_per_second)
        self._gauge("engine_reachable", "1 while the engine answers, else 0.", reachable)

    def failed(self, reason: str) -> None:
        """An answer failed; reasons come from the closed set of the error tree."""
        self._errors.labels(self._tier, reason).inc()

    def ended(self, ending: Ending) -> None:
        """An answer is complete."""
        self._tokens_in.inc(ending.input_tokens or 0)
        self._tokens_out.inc(ending.output_tokens or 0)

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        gauge = Gauge(f"steersman_backend_{name}", text, ("tier",), registry=self._registry)
        gauge.labels(tier=self._tier).set_function(value)
