"""What becomes of the prompts that are to be kept for labelling, as counts without anything of theirs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class CaptureMetrics:
    """Counts them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._prompts = Counter(
            "steersman_captures",
            "Prompts that were to be kept for labelling: written, or why they were not.",
            ("outcome",),
            registry=registry,
        )
        self._key_reloads = Counter(
            "steersman_capture_key_reloads",
            "Changes of the file of keys that seal captured prompts, taken or refused.",
            ("outcome",),
            registry=registry,
        )

    def counted(self, outcome: str, number: int) -> None:
        """Prompts were kept, or dropped."""
        if number:
            self._prompts.labels(outcome).inc(number)

    def keys_reloaded(self, outcome: str) -> None:
        """The file of keys has changed, and was taken or refused."""
        self._key_reloads.labels(outcome).inc()
