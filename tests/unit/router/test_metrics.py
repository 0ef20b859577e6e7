from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import generate_latest

from fakes.catalogue import a_catalogue, a_policy, a_resource
from fakes.router import a_request, router_on_fakes
from steersman.router.accounting import Record
from steersman.router.demand import Demand
from steersman.router.metrics import STAGES, RouterMetrics, attributes
from steersman.router.model import CacheState, Reason, Refusal
from steersman.router.waiting import Bounds, Outcome, WaitingRoom
from steersman.runtime.breaker import Breaker
from steersman.runtime.errors import Error, Unavailable
from steersman.runtime.metrics import ProcessMetrics


class Measured:
    """A router's metrics, and what Prometheus sees of them."""

    def __init__(self) -> None:
        self.process = ProcessMetrics()
        self.metrics = RouterMetrics(self.process)

    def value(self, name: str, **labels: str) -> float | None:
        return self.process.registry.get_sample_value(name, labels)

    def text(self) -> str:
        return generate_latest(self.process.registry).decode()

    def labels(self) -> set[tuple[str, str]]:
        """Name and value of every label of the router's own series, but the bounds of histograms."""
        lines = [line for line in self.text().splitlines() if line.startswith("steersman_")]
        found = {pair for line in lines for pair in re.findall(r'(\w+)="([^"]*)"', line)}
        return {(name, value) for name, value in found if name != "le"}


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_an_answer_is_counted_by_its_decision(measured: Measured, record: Record) -> None:
    measured.metrics.closed(record)
    labels = {"policy": "auto", "tier": "strong", "reason": "SCORE", "cache": "MISS"}
    assert measured.value("steersman_decisions_total", **labels) == 1
    assert measured.value("steersman_requests_total", outcome="OK") == 1
    assert measured.value("steersman_first_byte_seconds_sum", tier="strong") == 0.25


def test_tokens_and_cost_are_counted(measured: Measured, record: Record) -> None:
    measured.metrics.closed(record)
    assert measured.value("steersman_tokens_total", tier="strong", kind="prompt") == 70
    assert measured.value("steersman_tokens_total", tier="strong", kind="completion") == 30
    assert measured.value("steersman_cost_usd_total", tier="strong") == 0.5
    assert measured.value("steersman_strongest_cost_usd_total", policy="auto") == 2.0


@pytest.mark.parametrize(
    ("stage", "seconds"), list(zip(STAGES, (0.001, 0.002, 0.003, 0.004, 0.005), strict=True))
)
def test_every_stage_is_measured(measured: Measured, record: Record, stage: str, seconds: float) -> None:
    measured.metrics.closed(record)
    assert measured.value("steersman_stage_duration_seconds_sum", stage=stage) == pytest.approx(seconds)


def test_a_failure_of_the_classifier_is_counted(measured: Measured, unscored: Record) -> None:
    measured.metrics.closed(unscored)
    assert measured.value("steersman_classifier_failures_total", reason="CLASSIFIER_TIMEOUT") == 1


def test_a_request_that_was_refused_is_counted_by_its_outcome_alone(measured: Measured) -> None:
    measured.metrics.closed(Record(outcome="UNKNOWN_MODEL"))
    assert measured.value("steersman_requests_total", outcome="UNKNOWN_MODEL") == 1
    assert not any(name == "policy" for name, _ in measured.labels())


def test_everything_else_that_is_told_is_counted(measured: Measured) -> None:
    measured.metrics.retried("weak", "ENGINE_UNREACHABLE")
    measured.metrics.cache_writes_dropped(3)
    measured.metrics.decisions_logged("queue_full", 2)
    measured.metrics.reloaded("refused")
    measured.metrics.responded(429)
    assert measured.value("steersman_retries_total", tier="weak") == 1
    assert measured.value("steersman_cache_writes_dropped_total") == 3
    assert measured.value("steersman_decision_log_lines_total", outcome="queue_full") == 2
    assert measured.value("steersman_policy_reloads_total", outcome="refused") == 1
    assert measured.value("steersman_http_responses_total", status="429") == 1


def test_the_worst_breaker_of_a_part_is_shown(measured: Measured) -> None:
    breakers = [Breaker(threshold=1, cooldown=10.0) for _ in range(3)]
    measured.metrics.watch_breakers("tiers", lambda: breakers)
    assert measured.value("steersman_breaker_state", part="tiers") == 0
    breakers[1].failure()
    assert measured.value("steersman_breaker_state", part="tiers") == 2


def test_a_part_without_breakers_is_well(measured: Measured) -> None:
    measured.metrics.watch_breakers("tiers", list)
    assert measured.value("steersman_breaker_state", part="tiers") == 0


def test_waits_are_measured_by_tier_and_by_how_they_ended(measured: Measured) -> None:
    measured.metrics.waited("strong", Outcome.WOKEN, 2.5)
    measured.metrics.waited("strong", Outcome.FULL, 0.0)
    assert measured.value("steersman_wait_seconds_sum", tier="strong", outcome="WOKEN") == 2.5
    assert measured.value("steersman_wait_seconds_count", tier="strong", outcome="FULL") == 1


def test_what_is_in_the_waiting_room_is_shown_as_it_is_now(measured: Measured) -> None:
    room = WaitingRoom(Bounds())
    measured.metrics.watch_room(room)
    with room.place("strong", size=100, seconds=1.0):
        assert measured.value("steersman_waiting_requests") == 1
        assert measured.value("steersman_waiting_bytes") == 100
    assert measured.value("steersman_waiting_requests") == 0


def test_policies_are_shown_by_where_they_come_from(measured: Measured) -> None:
    catalogue = a_catalogue(a_policy("auto"), a_policy("careful", resource=a_resource("careful")))
    catalogue = replace(catalogue, refused=(Refusal(a_resource("cheap"), "there is no tier mighty"),))
    measured.metrics.watch_policies(lambda: catalogue)
    shown = {
        source: measured.value("steersman_policies", source=source)
        for source in ("file", "resource", "refused")
    }
    assert shown == {"file": 1, "resource": 1, "refused": 1}


def test_demand_is_shown_as_it_is_now(measured: Measured) -> None:
    demand = Demand()
    measured.metrics.watch_demand(demand, ["weak", "strong"])
    with demand.of_tier("strong") as want:
        assert measured.value("steersman_demand", part="tier strong", state="waiting") == 1
        want.runs()
        assert measured.value("steersman_demand", part="tier strong", state="running") == 1
    assert measured.value("steersman_demand", part="tier strong", state="running") == 0
    assert measured.value("steersman_demand", part="router", state="waiting") == 0


def test_demand_may_be_watched_anew_when_the_catalogue_changes(measured: Measured) -> None:
    demand = Demand()
    measured.metrics.watch_demand(demand, ["weak"])
    measured.metrics.watch_demand(demand, ["weak", "other"])
    with demand.of_tier("other"):
        assert measured.value("steersman_demand", part="tier other", state="waiting") == 1


async def test_no_prompt_and_nothing_else_without_bound_is_in_a_label(measured: Measured) -> None:
    router = await router_on_fakes()
    router.routing.ledger = measured.metrics
    failing: list[Any] = [
        a_request("sesame", model="open sesame"),
        a_request("sesame", threshold=2.0),
        a_request("sesame", seconds=-1.0),
    ]
    for request in failing:
        with pytest.raises(Error):
            await router.routing.route(request)
    router.weak.error = router.strong.error = Unavailable("sesame", reason="ENGINE_UNREACHABLE")
    with pytest.raises(Error):
        await router.routing.complete(a_request("sesame"))
    router.weak.error = None
    await router.routing.complete(a_request("sesame", user="sesame"))
    assert "sesame" not in measured.text()
    allowed = {
        "stage": set(STAGES),
        "outcome": {"OK", "UNKNOWN_MODEL", "INVALID_REQUEST", "DEADLINE_EXCEEDED", "ENGINE_UNREACHABLE"},
        "policy": {"auto"},
        "tier": {"weak", "strong"},
        "reason": {reason.name for reason in Reason},
        "cache": {state.name for state in CacheState},
        "kind": {"prompt", "completion"},
    }
    assert [(name, value) for name, value in measured.labels() if value not in allowed[name]] == []


def test_queries_out_of_domain_are_counted_by_policy(measured: Measured, novel: Record) -> None:
    measured.metrics.closed(novel)
    assert measured.value("steersman_out_of_domain_total", policy="auto") == 1
    of_reason = {"policy": "auto", "tier": "strong", "reason": "OUT_OF_DOMAIN", "cache": "L2_HIT"}
    assert measured.value("steersman_decisions_total", **of_reason) == 1


def test_a_requests_span_says_what_the_record_says(measured: Measured, record: Record) -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("request")
    with trace.use_span(span):
        measured.metrics.closed(record)
    told = dict(span.attributes or {})  # type: ignore[attr-defined]  # a span that records has them
    assert told["gen_ai.usage.input_tokens"] == 70
    assert told["steersman.tier"] == "strong"
    assert told["steersman.overhead_seconds"] == pytest.approx(0.015)


def test_attributes_follow_the_conventions_of_generative_ai(record: Record) -> None:
    assert record.decision is not None
    told = attributes(record, record.decision)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert (told["steersman.score"], told["steersman.win_probability"]) == (0.875, 0.625)
    assert told["steersman.classifier.artefact"] == "c0ffee"


def test_a_query_out_of_domain_is_an_attribute(novel: Record) -> None:
    assert novel.decision is not None
    told = attributes(novel, novel.decision)
    assert (told["steersman.reason"], told["steersman.novelty"]) == ("OUT_OF_DOMAIN", 1.0)
    assert told["steersman.out_of_domain"] is True


def test_a_wait_is_an_attribute_where_there_was_one(record: Record) -> None:
    assert record.decision is not None
    assert "steersman.waited_seconds" not in attributes(record, record.decision)
    record.waited_seconds = 1.5
    assert attributes(record, record.decision)["steersman.waited_seconds"] == 1.5


def test_what_is_not_known_is_no_attribute(unscored: Record, without_win_probability: Record) -> None:
    assert unscored.decision is not None
    assert without_win_probability.decision is not None
    assert "steersman.score" not in attributes(unscored, unscored.decision)
    assert "gen_ai.response.model" not in attributes(unscored, unscored.decision)
    told = attributes(without_win_probability, without_win_probability.decision)
    assert "steersman.win_probability" not in told
    assert told["steersman.score"] == 0.875
