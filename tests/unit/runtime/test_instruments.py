"""Against prometheus_client's own instruments, which show the same for the same."""

from __future__ import annotations

import math
from collections.abc import Callable

import prometheus_client
import pytest
from hypothesis import given, strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from steersman.runtime.instruments import Counter, Histogram

BUCKETS = (0.001, 0.25, 1.0, 5.0)

values = st.one_of(st.sampled_from([0.0, *BUCKETS, 7.0]), st.floats(min_value=0, max_value=10))
labels = st.sampled_from(["weak", "strong", 'a "quoted" one'])


def shown(build: Callable[[CollectorRegistry], object]) -> str:
    registry = CollectorRegistry()
    build(registry)
    return generate_latest(registry).decode()


@pytest.fixture(autouse=True, scope="module")
def without_created_series() -> None:
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # as every process does


@given(st.lists(st.tuples(labels, values)))
def test_a_histogram_shows_what_prometheus_clients_own_shows(observed: list[tuple[str, float]]) -> None:
    def ours(registry: CollectorRegistry) -> None:
        made = Histogram("seconds", "How long.", ("tier",), buckets=BUCKETS, registry=registry)
        for tier, value in observed:
            made.labels(tier).observe(value)

    def theirs(registry: CollectorRegistry) -> None:
        made = prometheus_client.Histogram(
            "seconds", "How long.", ("tier",), buckets=BUCKETS, registry=registry
        )
        for tier, value in observed:
            made.labels(tier).observe(value)

    assert shown(ours) == shown(theirs)


@given(st.lists(st.tuples(labels, values)))
def test_a_counter_shows_what_prometheus_clients_own_shows(counted: list[tuple[str, float]]) -> None:
    def ours(registry: CollectorRegistry) -> None:
        made = Counter("seen", "How many.", ("tier",), registry=registry)
        for tier, value in counted:
            made.labels(tier).inc(value)

    def theirs(registry: CollectorRegistry) -> None:
        made = prometheus_client.Counter("seen", "How many.", ("tier",), registry=registry)
        for tier, value in counted:
            made.labels(tier).inc(value)

    assert shown(ours) == shown(theirs)


def test_what_has_no_labels_is_shown_from_the_start() -> None:
    assert "seen_total 0.0" in shown(lambda registry: Counter("seen", "How many.", registry=registry))


def test_a_value_on_a_bound_belongs_below_it() -> None:
    registry = CollectorRegistry()
    Histogram("seconds", "How long.", buckets=BUCKETS, registry=registry).labels().observe(0.25)
    assert registry.get_sample_value("seconds_bucket", {"le": "0.25"}) == 1
    assert registry.get_sample_value("seconds_bucket", {"le": "0.001"}) == 0
    assert math.isclose(registry.get_sample_value("seconds_sum") or 0, 0.25)


def test_a_series_that_is_removed_is_shown_no_more_and_begins_anew() -> None:
    registry = CollectorRegistry()
    seen = Counter("seen", "How many.", ("tenant", "kind"), registry=registry)
    for tenant in ("mail", "search"):
        for kind in ("prompt", "completion"):
            seen.labels(tenant, kind).inc(3)
    seen.remove("tenant", "mail")
    assert 'tenant="mail"' not in generate_latest(registry).decode()
    assert registry.get_sample_value("seen_total", {"tenant": "search", "kind": "prompt"}) == 3
    seen.labels("mail", "prompt").inc()
    assert registry.get_sample_value("seen_total", {"tenant": "mail", "kind": "prompt"}) == 1


def test_too_few_labels_are_refused() -> None:
    seen = Counter("seen", "How many.", ("tenant", "kind"), registry=CollectorRegistry())
    with pytest.raises(ValueError, match="labels"):
        seen.labels("mail")


def test_two_of_one_name_are_refused() -> None:
    registry = CollectorRegistry()
    Counter("seen", "How many.", registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("seen", "How many.", registry=registry)
