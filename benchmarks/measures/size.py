"""How large a router gets, and what a second one brings.

The memory is that of a router, as it ships, that has been asked for as many decisions as it keeps scores, each about
another prompt, in as many conversations as a busy hour has. Replicas are asked in turn by one generator. Where cores
are too few for two routers and the generator at once, it is the decisions a second of processor time that tell whether
replicas cost each other anything.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import cycle, islice
from typing import Final

from benchmarks.clients import grpc_unary
from benchmarks.load import each_once
from benchmarks.measures import requests
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn, measured
from benchmarks.system import System

from steersman.api.v1 import decision_pb2
from steersman.router.settings import DecisionCache

STREAMS: Final = 64
MISS_STREAMS: Final = 32
KNOWN: Final = 64
"""Prompts whose scores are known."""
_SCORES: Final = DecisionCache().local_entries
_CONVERSATIONS: Final = 10_000
_LONGEST_SECONDS: Final = 600.0


async def memory(system: System, _plan: Plan) -> list[Outcome]:
    """Memory of a router that keeps as many scores as it ever will."""
    prompts, conversations = Prompts(seed=10), cycle(map(str, range(_CONVERSATIONS)))
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())
        upstream = {"kind": "openai", "url": f"http://{system.engine.address}"}
        router = await peers.router(valkey=system.valkey, triton=system.triton, upstream=upstream)
        ask = await stack.enter_async_context(grpc_unary(router.address, requests.ROUTE))
        questions = map(requests.route, islice(prompts, _SCORES), conversations)
        side = Side(
            "router", ask, questions, requests.scored(decision_pb2.CACHE_STATE_MISS), {"router": router.pid}
        )
        sample = await measured(
            side, lambda: each_once(ask, questions, streams=MISS_STREAMS, seconds=_LONGEST_SECONDS)
        )
    title = f"Router that keeps {_SCORES:,} scores and {_CONVERSATIONS:,} conversations"
    bar = Bar(200.0, least=False)
    return [Outcome(title, Metric.MEMORY, bar, prompts.lengths, Figure.of(side, [sample]))]


async def replicas(system: System, plan: Plan) -> list[Outcome]:
    """Two routers against one."""
    prompts = Prompts(seed=11)
    questions = [requests.route(prompt) for prompt in prompts.some(KNOWN)]
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())
        upstream = {"kind": "openai", "url": f"http://{system.engine.address}"}
        second = await peers.router(valkey=system.valkey, triton=system.triton, upstream=upstream)
        asks = [
            await stack.enter_async_context(grpc_unary(router.address, requests.ROUTE))
            for router in (system.router, second)
        ]
        for ask in asks:
            for question in questions:
                await ask(question)
        in_rotation = cycle(asks)
        hit = requests.routed(decision_pb2.CACHE_STATE_L1_HIT)
        pids = {"router": system.router.pid, "second router": second.pid}

        async def ask_next(question: bytes) -> bytes:
            return await next(in_rotation)(question)

        both = Side("two routers", ask_next, cycle(questions), hit, pids, replicas=len(asks))
        one = Side("one router", asks[0], cycle(questions), hit, system.only_router)
        samples, others = await in_turn([both, one], plan, streams=STREAMS)
    figures = Figure.of(both, samples), Figure.of(one, others)
    title = f"Route, L1 hit, {STREAMS} streams a router, two routers against one"
    return [
        Outcome(title, Metric.PER_CPU_SECOND, Bar(0.95), prompts.lengths, *figures),
        Outcome(title, Metric.RATE, None, prompts.lengths, *figures),
    ]
