"""What is measured of the Kubernetes API: how long it has been silent, and how often it could not be asked."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from steersman.runtime.kubernetes.api import Resource
from steersman.runtime.kubernetes.reflector import Reflector


class KubernetesMetrics:
    """The metrics of a process's reflectors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._errors = Counter(
            "steersman_kubernetes_errors",
            "Times that the Kubernetes API could not be asked, by resource and by what was wrong.",
            ("resource", "reason"),
            registry=registry,
        )
        self._silence = Gauge(
            "steersman_kubernetes_silence_seconds",
            "Time since the Kubernetes API said anything about a resource; a minute is usual.",
            ("resource",),
            registry=registry,
        )

    def failed(self, resource: Resource, reason: str) -> None:
        """The API could not be asked."""
        self._errors.labels(resource.plural, reason).inc()

    def watch(self, reflector: Reflector) -> None:
        """Show how long the API has been silent."""
        self._silence.labels(reflector.resource.plural).set_function(lambda: reflector.silence)
