from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from steersman.router.demand import Demand, Gauge, Want


def test_work_waits_until_it_runs_and_is_gone_when_it_has_ended() -> None:
    demand = Demand()
    with demand.of_tier("strong") as want:
        assert demand.tiers["strong"] == Gauge(waiting=1, running=0)
        want.runs()
        assert demand.tiers["strong"] == Gauge(waiting=0, running=1)
    assert demand.tiers["strong"] == Gauge()


def test_work_that_never_ran_waits_no_longer_when_it_is_given_up() -> None:
    demand = Demand()
    with demand.of_tier("strong"):
        pass
    assert demand.tiers["strong"] == Gauge()


@pytest.mark.parametrize("running", [True, False])
def test_work_that_fails_is_gone_too(*, running: bool) -> None:
    demand = Demand()
    with suppress(ZeroDivisionError), demand.of_classifier() as want:
        if running:
            want.runs()
        raise ZeroDivisionError
    assert demand.classifier == Gauge()


def test_what_never_came_in_is_unmet() -> None:
    demand = Demand()
    demand.never_came_in(3)
    assert (demand.router, demand.version) == (Gauge(unmet_total=3), 1)


def test_unmet_work_stays_counted() -> None:
    demand = Demand()
    with demand.of_tier("strong") as want:
        want.unmet()
    assert demand.tiers["strong"] == Gauge(unmet_total=1)


def test_each_thing_is_counted_apart() -> None:
    demand = Demand()
    with demand.of_router(), demand.of_classifier(), demand.of_tier("weak"):
        assert demand.router == demand.classifier == demand.tiers["weak"] == Gauge(waiting=1)
        assert demand.tiers["strong"] == Gauge()


def test_every_change_is_news() -> None:
    demand = Demand()
    seen = [demand.version]
    with demand.of_router() as want:
        seen.append(demand.version)
        want.runs()
        seen.append(demand.version)
        want.unmet()
        seen.append(demand.version)
    seen.append(demand.version)
    assert seen == sorted(set(seen))


@given(st.lists(st.sampled_from(["come", "run", "go", "give up"])))
def test_no_order_of_events_leaves_anything_behind(events: list[str]) -> None:
    demand = Demand()
    waiting: list[Want] = []
    running: list[Want] = []
    for event in events:
        if event == "come":
            waiting.append(demand.of_router().__enter__())
        elif event == "run" and waiting:
            running.append(waiting.pop())
            running[-1].runs()
        elif event == "go" and running:
            running.pop().__exit__(None, None, None)
        elif event == "give up" and waiting:
            waiting.pop().__exit__(None, None, None)
        assert demand.router == Gauge(len(waiting), len(running))
