"""Complete: the whole way to an engine and back, against a proxy in the same place that only passes bytes on.

First how many a second, then what the router adds to the time of one at half of what it can do.

Both stand between the generator and a server with a fixed answer. The pass-through has a bare gRPC server behind it,
since gRPC is all that it speaks; the router speaks HTTP to the mock engine, which costs less than that server. On
few cores this helps the router's rate, so requests a second of the middle process's own time stand beside it.
"""

from __future__ import annotations

import statistics
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Final

from benchmarks.clients import grpc_unary
from benchmarks.measures import requests
from benchmarks.mock_engine import TEXT
from benchmarks.outcomes import Bar, Figure, Held, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, at_even_moments, in_turn
from benchmarks.system import System

from steersman.api.v1 import decision_pb2, router_service_pb2 as pb

STREAMS: Final = 64
KNOWN: Final = 64
"""Prompts whose scores are known."""
HALF: Final = 0.5
"""Offered load, as a share of the most that the router can do."""


async def cached(system: System, plan: Plan) -> list[Outcome]:
    """Answers on known scores, against a raw pass-through."""
    prompts = Prompts(seed=3)
    questions = [requests.complete(prompt) for prompt in prompts.some(KNOWN)]
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(grpc_unary(system.router.address, requests.COMPLETE))
        answer = [await ask(question) for question in (*questions, questions[0])][-1]
        peers = await stack.enter_async_context(system.peers.beside())
        proxy = await peers.pass_through(await peers.echo(answer, kind="raw"))
        ask_proxy = await stack.enter_async_context(grpc_unary(proxy.address, requests.COMPLETE))
        ours = Side("router -> mock engine", ask, cycle(questions), right, system.only_router)
        other = Side(
            "pass-through -> bare server",
            ask_proxy,
            cycle(questions),
            requests.same_as(answer),
            {"pass-through": proxy.pid},
        )
        samples, others = await in_turn([ours, other], plan, streams=STREAMS)
        rate = HALF * statistics.median(sample.rate for sample in samples)
        waits, other_waits = await at_even_moments([ours, other], plan, rate=rate)
    figures = Figure.of(ours, samples), Figure.of(other, others)
    waiting = Figure.of(ours, waits), Figure.of(other, other_waits)
    title = f"Complete, L1 hit, {STREAMS} streams"
    offered = f"Complete, L1 hit, {rate:.0f} requests/s offered to both"
    return [
        Outcome(title, Metric.RATE, Bar(0.6), prompts.lengths, *figures),
        Outcome(title, Metric.PER_CPU_SECOND, None, prompts.lengths, *figures),
        *(
            Outcome(offered, metric, Bar(most, least=False), prompts.lengths, *waiting, held=Held.DIFFERENCE)
            for metric, most in ((Metric.P50, 1.0), (Metric.P99, 5.0))
        ),
    ]


def right(answer: bytes) -> int:
    """1 for an answer of the engine's whose score was known, else 0."""
    response = pb.CompleteResponse.FromString(answer)
    return response.text == TEXT and requests.decided(response.decision, decision_pb2.CACHE_STATE_L1_HIT)
