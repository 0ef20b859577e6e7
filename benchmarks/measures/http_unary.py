"""OpenAI's HTTP API, not streamed: the router, which routes, against another product.

Both pass the same messages to the same mock engine. Products differ in how many processes they are, so what is
compared is requests a second of processor time of all of them; and how long a caller waits when both are offered the
same load.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Final

import orjson
from benchmarks.clients import http_post
from benchmarks.load import closed_loop
from benchmarks.measures import requests
from benchmarks.mock_engine import TEXT, completion
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Sample, Side, at_even_moments, in_turn
from benchmarks.system import HOST, Running, Starter, System

STREAMS: Final = 16
KNOWN: Final = 64
"""Prompts whose scores are known."""
SHARE_OF_PEAK: Final = 0.5
"""Offered load, as a share of what the other product manages at most."""

_Side = Side[bytes]
_Run = tuple[_Side, list[Sample]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A product that the router is held against.

    Attributes:
        name: What it is called.
        start: Starts it in front of the engine.
        model: What a request has to ask it for.
        title: What begins the titles of its outcomes.
        fresh: Seed of the prompts that nobody asked before, not even the measure of another peer.
        behind: What is aimed at where a backend stands between us and the engine, if anything.
    """

    name: str
    start: Callable[[Starter, Running], Awaitable[Running]]
    model: str
    title: str
    fresh: int
    behind: Bar | None = None


_LITELLM: Final = Peer("LiteLLM", Starter.litellm, "auto", "HTTP unary", fresh=5, behind=Bar(6.0))
_ROUTELLM: Final = Peer(
    "RouteLLM", Starter.routellm, "router-random-0.5", "HTTP unary beside RouteLLM", fresh=12
)


async def against(peer: Peer, system: System, plan: Plan) -> list[Outcome]:
    """Known scores and unknown ones, and a backend between, against a peer; then waits at one offered load."""
    prompts, fresh = Prompts(seed=4), Prompts(seed=peer.fresh)
    texts = prompts.some(KNOWN)
    bodies = [requests.http(text) for text in texts]
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())
        other = await _other(peer, system, stack, peers, texts)
        ask = await stack.enter_async_context(http_post(HOST, system.router.http_port, requests.HTTP_PATH))
        hits = Side(
            "router -> mock engine", ask, cycle(bodies), requests.same_as(completion()), system.product
        )
        misses = Side(hits.name, ask, map(requests.http, fresh), hits.units, system.product)
        behind = await _through_a_backend(system, stack, peers, bodies)
        for side in (hits, behind, other):  # a peer's first seconds are slower than the rest
            await closed_loop(side.call, streams=STREAMS, seconds=plan.seconds)
        runs = await in_turn([hits, misses, behind, other], plan, streams=STREAMS)
        rate = SHARE_OF_PEAK * statistics.median(sample.rate for sample in runs[-1])
        waits = await at_even_moments([hits, other], plan, rate=rate)
    hit = f"{peer.title}, L1 hit"
    return [
        *_throughput(hit, Bar(10.0), (hits, runs[0]), (other, runs[-1]), prompts),
        *_throughput(f"{peer.title}, miss", None, (misses, runs[1]), (other, runs[-1]), fresh),
        *_throughput(f"{hit}, through a backend", peer.behind, (behind, runs[2]), (other, runs[-1]), prompts),
        *_waiting(f"{hit}, {rate:.0f} requests/s offered to both", [hits, other], waits, prompts),
    ]


against_litellm: Final = partial(against, _LITELLM)
"""LiteLLM's proxy, which does not route."""
against_routellm: Final = partial(against, _ROUTELLM)
"""RouteLLM's own server, whose router throws a coin."""


async def _other(
    peer: Peer, system: System, stack: AsyncExitStack, peers: Starter, texts: Sequence[str]
) -> _Side:
    """The peer, asked the same; the time of all its processes is counted."""
    running = await peer.start(peers, system.engine)
    ask = await stack.enter_async_context(http_post(HOST, running.port, requests.HTTP_PATH))
    bodies = cycle([requests.http(text, model=peer.model) for text in texts])
    return Side(f"{peer.name} -> mock engine", ask, bodies, completes, {peer.name.lower(): running.pid})


async def _through_a_backend(
    system: System, stack: AsyncExitStack, peers: Starter, bodies: Sequence[bytes]
) -> _Side:
    """A router whose tiers have a backend before the same engine; the time of both is counted."""
    backend = await peers.backend(system.engine, slots=2 * STREAMS)
    upstream = {"kind": "backend", "target": backend.address}
    router = await peers.router(valkey=system.valkey, triton=system.triton, upstream=upstream)
    ask = await stack.enter_async_context(http_post(HOST, router.http_port, requests.HTTP_PATH))
    processes = {"router": router.pid, "backend": backend.pid}
    return Side(
        "router -> backend -> mock engine", ask, cycle(bodies), requests.same_as(completion()), processes
    )


def _throughput(title: str, bar: Bar | None, ours: _Run, other: _Run, prompts: Prompts) -> list[Outcome]:
    full = f"{title}, {STREAMS} connections"
    figures = Figure.of(*ours), Figure.of(*other)
    return [
        Outcome(full, Metric.PER_CPU_SECOND, bar, prompts.lengths, *figures),
        Outcome(full, Metric.RATE, None, prompts.lengths, *figures),
    ]


def _waiting(title: str, sides: list[_Side], waits: list[list[Sample]], prompts: Prompts) -> list[Outcome]:
    ours, other = (Figure.of(side, samples) for side, samples in zip(sides, waits, strict=True))
    bar = Bar(1.0, least=False)
    return [Outcome(title, metric, bar, prompts.lengths, ours, other) for metric in (Metric.P50, Metric.P99)]


def completes(answer: bytes) -> int:
    """Takes an answer for right that has all of the engine's text: other products rewrite what is around it."""
    try:
        content = orjson.loads(answer)["choices"][0]["message"]["content"]
    except (orjson.JSONDecodeError, LookupError):  # an error, as JSON or as text
        return 0
    return int(content == TEXT)
