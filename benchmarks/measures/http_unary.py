"""OpenAI's HTTP API, not streamed: the router, which routes, against LiteLLM's proxy, which does not.

Both pass the same bodies to the same mock engine. Products differ in how many processes they are, so what is compared
is requests a second of processor time of all of them; and how long a caller waits when both are offered the same load.
"""

from __future__ import annotations

import statistics
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Final

import orjson
from benchmarks.clients import http_post
from benchmarks.load import closed_loop, open_loop
from benchmarks.measures import requests
from benchmarks.mock_engine import TEXT, completion
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Sample, Side, in_turn, measured
from benchmarks.system import HOST, System

STREAMS: Final = 16
KNOWN: Final = 64
"""Prompts whose scores are known."""
SHARE_OF_PEAK: Final = 0.5
"""Offered load, as a share of what LiteLLM manages at most."""

_Side = Side[bytes]


async def against_litellm(system: System, plan: Plan) -> list[Outcome]:
    """Known scores and unknown ones, each against LiteLLM; then waiting times at one offered load."""
    prompts, fresh = Prompts(seed=4), Prompts(seed=5)
    bodies = [requests.http(prompt) for prompt in prompts.some(KNOWN)]
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())
        litellm = await peers.litellm(system.engine)
        ask = await stack.enter_async_context(http_post(HOST, system.router.http_port, requests.HTTP_PATH))
        ask_other = await stack.enter_async_context(http_post(HOST, litellm.port, requests.HTTP_PATH))
        hits = Side(
            "router -> mock engine", ask, cycle(bodies), requests.same_as(completion()), system.product
        )
        misses = Side(hits.name, ask, map(requests.http, fresh), hits.units, system.product)
        other = Side("LiteLLM -> mock engine", ask_other, cycle(bodies), _completes, {"litellm": litellm.pid})
        for side in (hits, other):  # LiteLLM's first seconds are slower than the rest
            await closed_loop(side.call, streams=STREAMS, seconds=plan.seconds)
        runs = await in_turn([hits, misses, other], plan, streams=STREAMS)
        rate = SHARE_OF_PEAK * statistics.median(sample.rate for sample in runs[-1])
        waits = await _at_even_moments([hits, other], plan, rate=rate)
    return [
        *_throughput("HTTP unary, L1 hit", Figure.of(hits, runs[0]), Figure.of(other, runs[2]), prompts),
        *_throughput("HTTP unary, miss", Figure.of(misses, runs[1]), Figure.of(other, runs[2]), fresh),
        *_waiting(
            f"HTTP unary, L1 hit, {rate:.0f} requests/s offered to both", [hits, other], waits, prompts
        ),
    ]


async def _at_even_moments(sides: list[_Side], plan: Plan, *, rate: float) -> list[list[Sample]]:
    async def run(side: _Side) -> Sample:
        return await measured(side, lambda: open_loop(side.call, rate=rate, seconds=plan.seconds))

    rounds = [[await run(side) for side in sides] for _ in range(plan.rounds)]
    return [list(samples) for samples in zip(*rounds, strict=True)]


def _throughput(title: str, ours: Figure, other: Figure, prompts: Prompts) -> list[Outcome]:
    full = f"{title}, {STREAMS} connections"
    return [
        Outcome(full, Metric.PER_CPU_SECOND, Bar(5.0), prompts.lengths, ours, other),
        Outcome(full, Metric.RATE, None, prompts.lengths, ours, other),
    ]


def _waiting(title: str, sides: list[_Side], waits: list[list[Sample]], prompts: Prompts) -> list[Outcome]:
    ours, other = (Figure.of(side, samples) for side, samples in zip(sides, waits, strict=True))
    bar = Bar(1.0, least=False)
    return [Outcome(title, metric, bar, prompts.lengths, ours, other) for metric in (Metric.P50, Metric.P99)]


def _completes(answer: bytes) -> int:
    content = orjson.loads(answer)["choices"][0]["message"]["content"]
    return int(content == TEXT)
