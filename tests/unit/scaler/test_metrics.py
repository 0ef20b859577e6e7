from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from steersman.scaler.metrics import ScalerMetrics
from steersman.scaler.model import Audience, Sums


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_demand_is_shown_by_part_and_state(registry: CollectorRegistry) -> None:
    metrics = ScalerMetrics(registry)
    metrics.show({"tier/strong": Sums(1, 2, 3)}, Audience())
    shown = {
        state: registry.get_sample_value("steersman_scaler_demand", {"part": "tier-strong", "state": state})
        for state in ("waiting", "running", "unmet")
    }
    assert shown == {"waiting": 1, "running": 2, "unmet": 3}
    assert registry.get_sample_value("steersman_scaler_demand_known") == 1


def test_a_part_that_is_gone_shows_nothing(registry: CollectorRegistry) -> None:
    metrics = ScalerMetrics(registry)
    metrics.show({"router": Sums(running=2)}, Audience())
    metrics.show({}, Audience())
    labels = {"part": "router", "state": "running"}
    assert registry.get_sample_value("steersman_scaler_demand", labels) is None
    assert registry.get_sample_value("steersman_scaler_demand_known") == 0


def test_it_shows_how_many_routers_are_heard_and_how_old_their_word_is(registry: CollectorRegistry) -> None:
    metrics = ScalerMetrics(registry)
    assert registry.get_sample_value("steersman_scaler_routers", {"hearing": "heard"}) == 0
    metrics.show({}, Audience(heard=3, silent=2, unheard=1, oldest_seconds=4.5))
    for hearing, number in (("heard", 3), ("silent", 2), ("unheard", 1)):
        assert registry.get_sample_value("steersman_scaler_routers", {"hearing": hearing}) == number
    assert registry.get_sample_value("steersman_scaler_oldest_report_seconds") == 4.5
