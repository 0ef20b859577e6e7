"""What tracing costs at the share of requests that is traced by default, with spans that a collector really takes.

Two routers on the same parts, with the same questions whose scores they know: one that sends its spans to a collector,
told nothing else of tracing, and one that was told of no collector. They are measured in turn. Two processes of the
same program may differ by as much as tracing costs, for as long as they run; hence several such pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import chain, cycle
from typing import Final

from benchmarks.clients import grpc_unary
from benchmarks.measures import complete, requests
from benchmarks.outcomes import Bar, Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn
from benchmarks.system import Router, System

from steersman.api.v1 import decision_pb2

STREAMS: Final = 64
PAIRS: Final = 3
KNOWN: Final = 64
"""Prompts whose scores are known."""
_METHODS: Final = (
    ("Route", requests.ROUTE, requests.route, requests.routed(decision_pb2.CACHE_STATE_L1_HIT)),
    ("Complete", requests.COMPLETE, requests.complete, complete.right),
)


async def cached(system: System, plan: Plan) -> list[Outcome]:
    """Decisions and answers on known scores, with tracing as it ships, against none."""
    prompts = Prompts(seed=12)
    known = prompts.some(KNOWN)
    figures = [await _pair(system, plan, known) for _ in range(PAIRS)]
    outcomes: list[Outcome] = []
    for (title, *_), pairs in zip(_METHODS, zip(*figures, strict=True), strict=True):
        ours, other = (_together(side) for side in zip(*pairs, strict=True))
        outcomes += [
            Outcome(f"{title}, L1 hit, {STREAMS} streams: tracing", metric, bar, prompts.lengths, ours, other)
            for metric, bar in ((Metric.PER_CPU_SECOND, Bar(0.95)), (Metric.RATE, None))
        ]
    return outcomes


async def _pair(system: System, plan: Plan, known: list[str]) -> list[tuple[Figure, Figure]]:
    """A traced router and one that is not, by method."""
    upstream = {"kind": "openai", "url": f"http://{system.engine.address}"}
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())
        collector = await peers.collector()
        traced = await peers.router(
            valkey=system.valkey, triton=system.triton, upstream=upstream, collector=collector
        )
        bare = await peers.router(valkey=system.valkey, triton=system.triton, upstream=upstream)

        async def side(
            name: str, router: Router, method: str, questions: list[bytes], right: Callable[[bytes], int]
        ) -> Side[bytes]:
            ask = await stack.enter_async_context(grpc_unary(router.address, method))
            for question in questions:
                await ask(question)
            return Side(name, ask, cycle(questions), right, {"router": router.pid})

        found = []
        for _, method, question, right in _METHODS:
            questions = [question(prompt) for prompt in known]
            ours = await side("traced", traced, method, questions, right)
            other = await side("not traced", bare, method, questions, right)
            samples, others = await in_turn([ours, other], plan, streams=STREAMS)
            found.append((Figure.of(ours, samples), Figure.of(other, others)))
        return found


def _together(figures: tuple[Figure, ...]) -> Figure:
    """One side's result in all pairs."""
    first, *_ = figures
    return Figure(first.side, first.processes, [*chain(*(each.samples for each in figures))])
