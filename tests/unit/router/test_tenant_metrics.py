from __future__ import annotations

from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from fakes.clock import FakeClock
from steersman.router.accounting import Record
from steersman.router.model import Caller
from steersman.router.tenant_labels import OTHER, PERIOD_SECONDS, TenantLabels
from steersman.router.tenant_metrics import TenantMetrics


@dataclass
class Named:
    """Labels for two tenants at most, and those that were taken back."""

    clock: FakeClock = field(default_factory=FakeClock)
    retired: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.labels = TenantLabels(2, self.retired.append, self.clock)

    def come(self, **requests: int) -> set[str]:
        """So many requests of each; the labels that they got."""
        return {self.labels.of(tenant) for tenant, number in requests.items() for _ in range(number)}

    def next_period(self) -> None:
        self.clock.advance(PERIOD_SECONDS)


def test_the_first_that_come_are_named_and_the_rest_is_other() -> None:
    named = Named()
    assert named.come(a=1, b=1) == {"a", "b"}
    assert named.come(c=100, d=100) == {OTHER}
    assert named.come(a=1, b=1) == {"a", "b"}


def test_a_much_larger_tenant_takes_the_place_of_the_smallest_in_the_next_period() -> None:
    named = Named()
    named.come(a=10, b=3, c=7)
    assert named.come(c=1) == {OTHER}
    named.next_period()
    assert named.come(c=1, a=1, b=1) == {"c", "a", OTHER}
    assert named.retired == ["b"]


def test_a_tenant_that_is_only_a_little_larger_does_not() -> None:
    named = Named()
    for _ in range(5):
        named.come(a=10, b=5, c=10)
        named.next_period()
    assert named.come(a=1, b=1, c=1) == {"a", "b", OTHER}
    assert named.retired == []


def test_several_may_change_places_at_once_and_never_more_are_named_than_there_are_places() -> None:
    named = Named()
    named.come(a=1, b=1, **{f"t{number}": 10 + number for number in range(50)})
    named.next_period()
    labels = {named.labels.of(f"t{number}") for number in range(50)}
    assert labels == {"t49", "t48", OTHER}
    assert sorted(named.retired) == ["a", "b"]


def test_a_tenant_of_which_nothing_was_heard_gives_way() -> None:
    named = Named()
    named.come(a=5, b=5)
    named.next_period()
    named.come(a=5, c=1)
    named.next_period()
    assert named.come(c=1) == {"c"}


def shown(registry: CollectorRegistry) -> dict[str, float]:
    """Series without those that only tell when they were made."""
    lines = (line.rpartition(" ") for line in generate_latest(registry).decode().splitlines())
    return {
        name: float(value) for name, _, value in lines if not name.startswith("#") and "_created" not in name
    }


def test_each_tenants_requests_tokens_money_and_share_are_counted(record: Record, unscored: Record) -> None:
    registry = CollectorRegistry()
    metrics = TenantMetrics(registry, largest=2)
    for each in (record, record, unscored, Record(outcome="REQUESTS_PER_MINUTE")):
        metrics.closed(replace(each, caller=Caller("search")))
    found = shown(registry)
    assert found['steersman_tenant_requests_total{tenant="search"}'] == 4
    assert found['steersman_tenant_decisions_total{answered_by="strongest",tenant="search"}'] == 2
    assert found['steersman_tenant_decisions_total{answered_by="weaker",tenant="search"}'] == 1
    assert found['steersman_tenant_tokens_total{kind="prompt",tenant="search"}'] == 140
    assert found['steersman_tenant_tokens_total{kind="completion",tenant="search"}'] == 60
    assert found['steersman_tenant_cost_usd_total{tenant="search"}'] == 1.0
    assert found['steersman_tenant_refusals_total{reason="REQUESTS_PER_MINUTE",tenant="search"}'] == 1


def test_the_number_of_series_is_bounded_however_many_tenants_come_and_go(record: Record) -> None:
    clock, registry = FakeClock(), CollectorRegistry()
    metrics = TenantMetrics(registry, largest=3, clock=clock)
    for period in range(20):
        for number in range(1, 6):
            for _ in range(4 * number):
                metrics.closed(replace(record, caller=Caller(f"tenant-{period}-{number}")))
        tenants = {name.partition('tenant="')[2].partition('"')[0] for name in shown(registry)}
        assert OTHER in tenants
        assert len(tenants) <= 4
        clock.advance(PERIOD_SECONDS)
