"""What it costs that callers are told apart, kept to limits of every kind, and have conversations.

Two routers on the same parts, with the same questions whose scores they know: one to which all callers are one, without
limits, and whose policy heeds no conversation; and one with a file of keys, a tenant that has a limit of every kind,
and conversations. They are measured in turn, as are the sides of every other comparison here.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import cycle
from typing import Final

from benchmarks.clients import grpc_unary
from benchmarks.measures import requests
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn
from benchmarks.system import Router, System
from benchmarks.tenants import Tenants

from steersman.api.v1 import decision_pb2

STREAMS: Final = 64
KNOWN: Final = 64
"""Prompts whose scores are known."""
_TENANT: Final = "team"


async def cached(system: System, plan: Plan) -> list[Outcome]:
    """Decisions on known scores, with identity, limits and conversations, against none of them."""
    prompts = Prompts(seed=9)
    questions = [requests.route(prompt) for prompt in prompts.some(KNOWN)]
    tenants = Tenants.named([_TENANT])
    hit = requests.routed(decision_pb2.CACHE_STATE_L1_HIT)
    upstream = {"kind": "openai", "url": f"http://{system.engine.address}"}
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())

        async def side(name: str, router: Router, authorization: str = "") -> Side[bytes]:
            ask = await stack.enter_async_context(
                grpc_unary(router.address, requests.ROUTE, authorization=authorization)
            )
            for question in questions:
                await ask(question)
            return Side(name, ask, cycle(questions), hit, {"router": router.pid})

        with_all = await peers.router(
            valkey=system.valkey, triton=system.triton, upstream=upstream, tenants=tenants
        )
        bare = await peers.router(
            valkey=system.valkey, triton=system.triton, upstream=upstream, conversations=False
        )
        ours = await side("keys, limits, conversations", with_all, tenants.authorization(_TENANT))
        other = await side("none of them", bare)
        samples, others = await in_turn([ours, other], plan, streams=STREAMS)
    figures = Figure.of(ours, samples), Figure.of(other, others)
    title = f"Route, L1 hit, {STREAMS} streams: identity, limits, conversations"
    return [
        Outcome(title, Metric.RATE, Bar(0.85), prompts.lengths, *figures),
        Outcome(title, Metric.PER_CPU_SECOND, None, prompts.lengths, *figures),
    ]
