"""The capacity model agrees with the textbook where that has an answer, and with trying it out elsewhere."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from benchmarks.capacity import measured, model, queueing
from benchmarks.capacity.__main__ import RESULTS
from benchmarks.capacity.measured import Costs, NotMeasured
from benchmarks.capacity.model import Site, Traffic
from benchmarks.capacity.queueing import Choice, Pods

pytestmark = pytest.mark.slow

COSTS = Costs(
    decision=1e-3, answer=5e-4, miss=5e-4, chunk=1e-4, classification=1e-4, key=1e-5, backend_chunk=1e-4
)
TRAFFIC = Traffic(texts=2_000)


def lru_hit_share(traffic: Traffic, entries: int, *, queries: int, seed: int) -> float:
    """Part of the repeated queries that a cache of the least recently used knows, by trying."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    weights = [rank**-traffic.skew for rank in range(1, traffic.texts + 1)]
    repeated = iter(chance.choices(range(traffic.texts), weights, k=queries))
    cache: OrderedDict[object, None] = OrderedDict()
    hits = asked = 0
    for number in range(queries):
        text: object = next(repeated) if chance.random() < traffic.repeated else f"new {number}"
        known = text in cache
        if isinstance(text, int) and number > queries // 4:
            asked, hits = asked + 1, hits + known
        cache[text] = None
        cache.move_to_end(text)
        if len(cache) > entries:
            cache.popitem(last=False)
    return hits / asked


@pytest.mark.parametrize("entries", [100, 500])
@pytest.mark.parametrize("repeated", [0.5, 0.9])
def test_what_a_cache_knows_is_as_trying_it_out_says(entries: int, repeated: float) -> None:
    traffic = replace(TRAFFIC, repeated=repeated)
    told = model.hit_share(100.0, traffic, entries, math.inf)
    assert told == pytest.approx(lru_hit_share(traffic, entries, queries=40_000, seed=1), abs=0.03)


def test_an_entry_that_ends_is_a_miss_once_in_its_time() -> None:
    one = Traffic(repeated=1.0, texts=1)
    assert model.hit_share(9.0, one, 10, 1.0) == pytest.approx(0.9)


def test_work_at_random_moments_waits_as_the_textbook_says() -> None:
    taken = queueing.waits(0.8, np.random.default_rng(2).exponential(1.0, 400_000), seed=1)
    assert float(np.mean(taken)) == pytest.approx(1 / (1 - 0.8), rel=0.1)  # M/M/1
    taken = queueing.waits(0.5, np.ones(100_000), seed=1)
    assert float(np.mean(taken)) == pytest.approx(1 + 0.5 / (2 * (1 - 0.5)), rel=0.05)  # M/D/1


def test_one_pod_makes_as_many_wait_as_erlang_says() -> None:
    slots, busy = 4, 0.7
    offered = slots * busy
    full = offered**slots / math.factorial(slots) / (1 - busy)
    erlang = full / (sum(offered**n / math.factorial(n) for n in range(slots)) + full)
    seen = queueing.at_pods(
        Pods(1, 1, slots=slots, queue=10_000, seconds=1.0),
        utilisation=busy,
        choice=Choice.RANDOM,
        requests=60_000,
        seed=1,
    )
    assert seen.waited == pytest.approx(erlang, abs=0.03)
    assert seen.refused == 0.0


def test_who_knows_more_chooses_better() -> None:
    def waited(choice: Choice) -> float:
        return queueing.at_pods(Pods(20, 20), utilisation=0.8, choice=choice, requests=20_000, seed=1).waited

    told = [waited(choice) for choice in Choice]
    assert told == sorted(told, reverse=True)


def test_what_no_queue_holds_is_refused() -> None:
    seen = queueing.at_pods(
        Pods(2, 2, slots=1, queue=1), utilisation=3.0, choice=Choice.OWN, requests=5_000, seed=1
    )
    assert seen.refused == pytest.approx(2 / 3, abs=0.05)


def test_what_is_needed_grows_with_the_rate_and_load_reports_with_routers_and_pods() -> None:
    less, more = (model.need(rate, TRAFFIC, Site(), COSTS) for rate in (1e3, 1e4))
    assert more.classifications == pytest.approx(10 * less.classifications, rel=0.1)
    assert 9 < more.routers / less.routers < 11
    assert less.load_reports == less.routers * min(64, sum(less.pods))
    assert more.load_reports == more.routers * 64


def test_routers_have_as_much_to_do_as_they_are_to_have() -> None:
    needed = model.need(1e4, TRAFFIC, Site(utilisation=0.5, router_cores=1.0), COSTS)
    assert 1e4 * needed.router_cpu / needed.routers == pytest.approx(0.5, rel=0.01)


def test_costs_are_those_of_the_latest_run_that_measured_them(tmp_path: Path) -> None:
    def run(commit: str, router: float) -> bytes:
        sample = {"count": 10, "seconds": 1.0, "cpu_seconds": {"router": router}}
        outcome = {"title": "Route", "unit": "/s", "runs": {"router": {"samples": [sample, sample]}}}
        return orjson.dumps({"commit": commit, "outcomes": [outcome, {**outcome, "unit": "ms p50"}]})

    (tmp_path / "20260101T000000Z-a.json").write_bytes(run("aaaaaaaaa", 10.0))
    (tmp_path / "20260102T000000Z-b.json").write_bytes(run("bbbbbbbbb", 5.0))
    point = measured.points(tmp_path)["Route"]
    assert (point.commit, point.rate, point.cpu["router"]) == ("bbbbbbb", 10.0, 0.5)
    with pytest.raises(NotMeasured):
        measured.costs({"Route": point})


def test_the_recorded_runs_are_within_a_sixth_of_what_the_model_says() -> None:
    points = measured.points(RESULTS)
    for title in measured.SATURATED:
        told = Site().router_cores / points[title].cpu["router"]
        assert told == pytest.approx(points[title].rate, rel=1 / 6), title
