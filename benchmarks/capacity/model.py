"""How much of each part a rate of requests needs. Arithmetic alone: what is measured comes from `measured.py`.

What does not grow with the rate alone has formulas of its own: how often a replica knows a score by itself depends on
the traffic that this replica sees, since each learns for itself; load reports are asked by each router of each pod.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from benchmarks.capacity.measured import Costs
from numpy.typing import NDArray

SCORE_BYTES: Final = 140
SESSION_BYTES: Final = 145
DECISION_BYTES: Final = 520
"""Of an entry in Valkey 9.1, with its key, expiry and place in the tables, as `INFO memory` tells."""
_SCORE_WIRE: Final = 110
_SESSION_WIRE: Final = 120
_DECISION_WIRE: Final = 480
"""Of writing one, or of asking for one and hearing of it."""
_BATCHES: Final = 20.0
"""Batches a second that a replica writes of a kind: one every 50 ms."""
_SCALERS: Final = 2
_GROUPS: Final = 2_000
_DEMAND_MESSAGES: Final = 10.0
"""Demand goes out at most every 100 ms."""
_MOST_REPORTS: Final = 64
"""A router asks so many pods a second for their load, in turns where there are more."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is asked.

    Args:
        repeated: Part of the queries that are among a fixed number of texts, which are asked again and again.
        texts: How many these are.
        skew: The exponent of Zipf's law by which some of them are asked more often.
        answered: Part of the queries that are answered, not only decided.
        prompt_tokens: Of a query.
        answer_tokens: Of an answer; 0 where it comes as one piece.
        later_turns: Part of the queries that go on with a conversation.
        strong_share: Part that goes to the strong tier.
    """

    repeated: float = 0.5
    texts: int = 1_000_000
    skew: float = 0.9
    answered: float = 1.0
    prompt_tokens: float = 500.0
    answer_tokens: float = 250.0
    later_turns: float = 0.5
    strong_share: float = 0.3


@dataclass(frozen=True, slots=True)
class Site:
    """How it is run.

    Args:
        utilisation: Part of what a replica can do that it is to have to do.
        router_cores: Cores that one router comes to: its event loop's, and a little of gRPC's own threads.
        triton_cores: Cores of a Triton instance.
        pod_tokens: Answer tokens a second of one pod of each tier, weak and strong.
        local_entries: Scores that a router keeps.
        local_seconds: For how long.
        shared_entries: Scores that fit in Redis.
        shared_seconds: How long it keeps one.
        kept_seconds: How long it keeps a conversation, and a decision that can be explained.
    """

    utilisation: float = 0.6
    router_cores: float = 1.08
    triton_cores: float = 2.0
    pod_tokens: tuple[float, float] = (5_000.0, 2_000.0)
    local_entries: int = 100_000
    local_seconds: float = 3_600.0
    shared_entries: int = 100_000_000
    shared_seconds: float = 86_400.0
    kept_seconds: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Need:
    """What a rate needs.

    Attributes:
        known: Part of the queries whose score the replica knows itself.
        shared: Part of them whose score Redis knows.
        routers: Replicas.
        router_cpu: Seconds of CPU time of a router for a request.
        classifications: A second.
        tritons: Instances.
        redis_keys: Entries that are looked up or written a second.
        redis_commands: Commands a second that carry them, at most.
        redis_cores: Of which one Redis has one.
        redis_megabytes: A second, both ways.
        redis_gigabytes: Of memory, once as much expires as comes.
        demand_streams: From routers to scalers.
        demand_messages: A second on all of them.
        load_reports: A second, that routers ask of pods.
        prompt_tokens: A second, both tiers.
        answer_tokens: A second, weak and strong.
        pods: Weak and strong.
        backend_cores: Of all backends, beside their engines.
    """

    rate: float
    known: float
    shared: float
    routers: int
    router_cpu: float
    classifications: float
    tritons: int
    redis_keys: float
    redis_commands: float
    redis_cores: float
    redis_megabytes: float
    redis_gigabytes: float
    demand_streams: int
    demand_messages: float
    load_reports: float
    prompt_tokens: float
    answer_tokens: tuple[float, float]
    pods: tuple[int, int]
    backend_cores: float


def need(rate: float, traffic: Traffic, site: Site, costs: Costs) -> Need:
    """What so many requests a second need.

    The number of routers and what each of them knows depend on each other; a few rounds bring them together.
    """
    routers = 1
    for _ in range(20):
        known = traffic.repeated * hit_share(
            rate * traffic.repeated / routers, traffic, site.local_entries, site.local_seconds
        )
        cpu = _router_cpu(traffic, costs, known)
        before, routers = routers, max(1, math.ceil(rate * cpu / (site.router_cores * site.utilisation)))
        if routers == before:
            break
    somewhere = traffic.repeated * hit_share(
        rate * traffic.repeated, traffic, site.shared_entries, site.shared_seconds
    )
    shared = max(0.0, somewhere - known)
    misses = rate * (1 - known - shared)
    return _need(rate, traffic, site, costs, _Found(known, shared, routers, cpu, misses))


def hit_share(rate: float, traffic: Traffic, entries: int, seconds: float) -> float:
    """Part of the repeated queries that a cache knows, by Che's approximation for the least recently used.

    Args:
        rate: Of repeated queries, that this cache sees; the others take room in it too.
        traffic: The law by which they are asked.
        entries: That fit in it.
        seconds: After which an entry ends.
    """
    texts, parts = _popularity(traffic.texts, traffic.skew)
    rates = rate * parts
    others = rate * (1 - traffic.repeated) / traffic.repeated if traffic.repeated else 0.0
    stays = _characteristic_seconds(texts, rates, entries, others)
    if stays < seconds:
        return float(np.sum(texts * parts * -np.expm1(-rates * stays)))
    # An entry ends so long after it was written, however often it is read: one query of each such time is a miss.
    return float(np.sum(texts * parts * rates * seconds / (1 + rates * seconds)))


@dataclass(frozen=True, slots=True)
class _Found:
    known: float
    shared: float
    routers: int
    cpu: float
    misses: float


def _router_cpu(traffic: Traffic, costs: Costs, known: float) -> float:
    pieces = max(0.0, traffic.answer_tokens - 1)
    return (
        costs.decision + (1 - known) * costs.miss + traffic.answered * (costs.answer + pieces * costs.chunk)
    )


def _need(rate: float, traffic: Traffic, site: Site, costs: Costs, found: _Found) -> Need:
    answered = rate * traffic.answered
    weak = answered * traffic.answer_tokens * (1 - traffic.strong_share)
    strong = answered * traffic.answer_tokens * traffic.strong_share
    pods = tuple(
        math.ceil(tokens / (each * site.utilisation))
        for tokens, each in zip((weak, strong), site.pod_tokens, strict=True)
    )
    reads, writes = rate * (1 - found.known), found.misses
    turns = rate * traffic.later_turns
    commands = reads + turns + 3 * min(_BATCHES * found.routers, rate)
    entries = min(found.misses * site.shared_seconds, site.shared_entries)
    keys = reads + writes + turns + 2 * rate
    return Need(
        rate=rate,
        known=found.known,
        shared=found.shared,
        routers=found.routers,
        router_cpu=found.cpu,
        classifications=found.misses,
        tritons=math.ceil(found.misses * costs.classification / (site.triton_cores * site.utilisation)),
        redis_keys=keys,
        redis_commands=commands,
        redis_cores=keys * costs.key,
        redis_megabytes=(
            (reads + writes) * _SCORE_WIRE + (turns + rate) * _SESSION_WIRE + rate * _DECISION_WIRE
        )
        / 1e6,
        redis_gigabytes=(entries * SCORE_BYTES + rate * site.kept_seconds * (SESSION_BYTES + DECISION_BYTES))
        / 1e9,
        demand_streams=found.routers * _SCALERS,
        demand_messages=found.routers * _SCALERS * _DEMAND_MESSAGES,
        load_reports=found.routers * min(sum(pods), _MOST_REPORTS),
        prompt_tokens=answered * traffic.prompt_tokens,
        answer_tokens=(weak, strong),
        pods=(pods[0], pods[1]),
        backend_cores=answered * traffic.answer_tokens * costs.backend_chunk,
    )


@cache
def _popularity(texts: int, skew: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Texts in groups of nearly equal ones: how many are in each, and what part of the queries each of them has."""
    weights = np.arange(1, texts + 1, dtype=np.float64) ** -skew
    edges = np.unique(np.geomspace(1, texts + 1, _GROUPS).astype(np.int64)) - 1
    counts = np.diff(edges).astype(np.float64)
    return counts, np.add.reduceat(weights, edges[:-1]) / counts / weights.sum()


def _characteristic_seconds(
    texts: NDArray[np.float64], rates: NDArray[np.float64], entries: int, others: float
) -> float:
    """How long an entry stays that nobody asks for: until as many other texts were asked for as fit.

    Args:
        texts: That are asked again, in groups.
        rates: Of each of a group.
        entries: That fit.
        others: Texts a second that are asked once.
    """

    def come(seconds: float) -> float:
        return float(np.sum(texts * -np.expm1(-rates * seconds))) + others * seconds

    if not others and entries >= texts.sum():
        return math.inf
    low, high = 0.0, 1.0
    while come(high) < entries:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if come(middle) < entries else (low, middle)
    return high
