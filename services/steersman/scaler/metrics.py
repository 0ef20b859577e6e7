"""What the scaler measures. Labels: parts, which are the routers' own tiers, and fixed words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from steersman.scaler.model import Audience, Part, Sums

_STATES: Final = ("waiting", "running", "unmet")
_HEARINGS: Final = ("heard", "silent", "unheard")


class ScalerMetrics(Collector):
    """Shows demand as it was last looked at. A part that is gone shows nothing, rather than its last value.

    It is replaced as a whole, because Prometheus is answered from another thread.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown = _metrics({}, Audience())
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """All series now."""
        return self._shown

    def show(self, sums: Mapping[Part, Sums], audience: Audience) -> None:
        """Show demand, none where it is not known, and what it was heard from."""
        self._shown = _metrics(sums, audience)


def _metrics(sums: Mapping[Part, Sums], audience: Audience) -> list[Metric]:
    demand = GaugeMetricFamily(
        "steersman_scaler_demand", "Demand for a part over all routers.", labels=("part", "state")
    )
    for part, sum_ in sums.items():
        name = part.replace(
            "/", "-"
        )  # a selector of Kubernetes, which an HPA picks a part by, takes no slash
        for state in _STATES:
            demand.add_metric((name, state), getattr(sum_, state))
    routers = GaugeMetricFamily(
        "steersman_scaler_routers",
        "Routers that are heard, that are silent and whose last word counts, and of which nothing counts.",
        labels=("hearing",),
    )
    for hearing in _HEARINGS:
        routers.add_metric((hearing,), getattr(audience, hearing))
    oldest = GaugeMetricFamily(
        "steersman_scaler_oldest_report_seconds",
        "Age of the oldest report that counts.",
        value=audience.oldest_seconds,
    )
    known = GaugeMetricFamily(
        "steersman_scaler_demand_known",
        "1 while KEDA gets answers, 0 while it gets errors.",
        value=bool(sums),
    )
    return [demand, routers, oldest, known]
