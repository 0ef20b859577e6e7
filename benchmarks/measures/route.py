"""Route: what a decision costs where the score is known, and where Redis and Triton have to be asked."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import cycle
from typing import Final

from benchmarks.clients import grpc_unary
from benchmarks.measures import requests
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn
from benchmarks.system import System

from steersman.api.v1 import decision_pb2

STREAMS: Final = 64
MISS_STREAMS: Final = 32
"""As many as Triton batches at most, so that no answer waits until the fallback decides."""
KNOWN: Final = 64
"""Prompts whose scores are known."""


async def cached(system: System, plan: Plan) -> list[Outcome]:
    """Decisions on known scores, against a bare echo of the same messages."""
    prompts = Prompts(seed=1)
    questions = [requests.route(prompt) for prompt in prompts.some(KNOWN)]
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(grpc_unary(system.router.address, requests.ROUTE))
        answer = [await ask(question) for question in (*questions, questions[0])][-1]
        peers = await stack.enter_async_context(system.peers.beside())
        echo = await peers.echo(answer)
        ask_echo = await stack.enter_async_context(grpc_unary(echo.address, requests.ROUTE))
        ours = Side(
            "router",
            ask,
            cycle(questions),
            requests.routed(decision_pb2.CACHE_STATE_L1_HIT),
            system.only_router,
        )
        other = Side("bare echo", ask_echo, cycle(questions), requests.same_as(answer), {"echo": echo.pid})
        samples, others = await in_turn([ours, other], plan, streams=STREAMS)
    figures = Figure.of(ours, samples), Figure.of(other, others)
    title = f"Route, L1 hit, {STREAMS} streams"
    return [
        Outcome(title, Metric.RATE, Bar(0.7), prompts.lengths, *figures),
        Outcome(title, Metric.PER_CPU_SECOND, None, prompts.lengths, *figures),
    ]


async def misses(system: System, plan: Plan) -> list[Outcome]:
    """Decisions on prompts that nobody asked before: L1, Redis and Triton are asked, and Redis is written."""
    prompts = Prompts(seed=2)
    async with grpc_unary(system.router.address, requests.ROUTE) as ask:
        questions = map(requests.route, prompts)
        ours = Side("router", ask, questions, requests.routed(decision_pb2.CACHE_STATE_MISS), system.product)
        (samples,) = await in_turn([ours], plan, streams=MISS_STREAMS)
    figure = Figure.of(ours, samples)
    title = f"Route, miss, {MISS_STREAMS} streams"
    return [
        Outcome(title, Metric.RATE, Bar(1000.0), prompts.lengths, figure),
        Outcome(title, Metric.PER_CPU_SECOND, None, prompts.lengths, figure),
    ]
