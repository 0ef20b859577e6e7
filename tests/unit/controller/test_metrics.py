from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from steersman.controller.metrics import ControllerMetrics
from steersman.controller.model import PROGRAMMED, Condition, Status, Truth
from steersman.controller.routers import View
from unit.controller.examples import NOW, holds


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def status(reason: str) -> Status:
    return Status(1, (Condition(PROGRAMMED, Truth.FALSE, reason, "", 1, NOW),))


def test_what_the_leader_sees_is_shown(registry: CollectorRegistry) -> None:
    metrics = ControllerMetrics(registry)
    view = View((holds("a"), holds("b")), silent=1, oldest_seconds=4.5)
    metrics.saw(view, [status("Pending"), status("Pending"), status("Programmed")])
    assert registry.get_sample_value("steersman_controller_routers", {"state": "heard"}) == 2
    assert registry.get_sample_value("steersman_controller_routers", {"state": "silent"}) == 1
    assert registry.get_sample_value("steersman_controller_oldest_report_seconds") == 4.5
    for reason, number in (("Pending", 2), ("Programmed", 1), ("Refused", 0)):
        assert registry.get_sample_value("steersman_controller_policies", {"reason": reason}) == number


def test_who_leads_no_more_shows_nothing_of_what_it_saw(registry: CollectorRegistry) -> None:
    metrics = ControllerMetrics(registry)
    metrics.saw(View((holds("a"),)), [status("Programmed")])
    metrics.stopped()
    assert registry.get_sample_value("steersman_controller_routers", {"state": "heard"}) is None
    assert registry.get_sample_value("steersman_controller_policies", {"reason": "Programmed"}) is None


def test_outcomes_and_errors_are_there_before_the_first_of_them(registry: CollectorRegistry) -> None:
    metrics = ControllerMetrics(registry)
    for outcome in ("written", "unchanged", "failed", "gone"):
        assert registry.get_sample_value("steersman_controller_reconciles_total", {"outcome": outcome}) == 0
    metrics.failed("lease")
    for operation, number in (("lease", 1), ("watch", 0), ("status", 0), ("event", 0)):
        name, labels = "steersman_controller_api_errors_total", {"operation": operation}
        assert registry.get_sample_value(name, labels) == number
