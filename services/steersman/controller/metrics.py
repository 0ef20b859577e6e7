"""What the controller measures. Labels are fixed words; a resource's name is none, since anybody may make resources."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from steersman.controller.model import PROGRAMMED, Status
from steersman.controller.routers import View

_OUTCOMES: Final = ("written", "unchanged", "failed", "gone")
_OPERATIONS: Final = ("lease", "watch", "status", "event")
_REASONS: Final = ("Programmed", "Pending", "Refused", "RoutersSilent", "NoRouterHeard")


class ControllerMetrics:
    """Implements `steersman.controller.reconciling.Observer`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leader = Gauge(
            "steersman_controller_leader", "1 while this replica leads, else 0.", registry=registry
        )
        self._reconciles = Counter(
            "steersman_controller_reconciles",
            "Looks at a RoutingPolicy resource, by what came of them.",
            ("outcome",),
            registry=registry,
        )
        self._api_errors = Counter(
            "steersman_controller_api_errors",
            "What the Kubernetes API did not do, by what was asked of it.",
            ("operation",),
            registry=registry,
        )
        self._seen = _Seen(registry)
        for outcome in _OUTCOMES:
            self._reconciles.labels(outcome)
        for operation in _OPERATIONS:
            self._api_errors.labels(operation)

    def saw(self, view: View, statuses: Sequence[Status]) -> None:
        """See `Observer`."""
        self._seen.shown = _metrics(view, statuses)

    def stopped(self) -> None:
        """This replica leads no more, and sees no routers."""
        self._seen.shown = []

    def reconciled(self, outcome: str) -> None:
        """See `Observer`."""
        self._reconciles.labels(outcome).inc()

    def failed(self, operation: str) -> None:
        """See `Observer`."""
        self._api_errors.labels(operation).inc()


class _Seen(Collector):
    """What the leader sees; a replica that does not lead shows nothing, rather than what was once.

    It is replaced as a whole, because Prometheus is answered from another thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.shown: Sequence[Metric] = []
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """All series now."""
        return self.shown


def _metrics(view: View, statuses: Sequence[Status]) -> list[Metric]:
    routers = GaugeMetricFamily(
        "steersman_controller_routers", "Routers that are heard, and that are silent.", labels=("state",)
    )
    routers.add_metric(("heard",), len(view.heard))
    routers.add_metric(("silent",), view.silent)
    oldest = GaugeMetricFamily(
        "steersman_controller_oldest_report_seconds",
        "Age of the oldest report that counts.",
        value=view.oldest_seconds,
    )
    policies = GaugeMetricFamily(
        "steersman_controller_policies",
        "RoutingPolicy resources, by the reason of their condition Programmed.",
        labels=("reason",),
    )
    conditions = (status.condition(PROGRAMMED) for status in statuses)
    reasons = Count(condition.reason for condition in conditions if condition is not None)
    for reason in _REASONS:
        policies.add_metric((reason,), reasons[reason])
    return [routers, oldest, policies]
