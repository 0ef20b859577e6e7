"""Streams: chunks a second that reach the caller, over one hop and over two, against bare pass-throughs; and the first.

The engine paces every stream (see `mock_engine`), more chunks than any side can pass on. A pass-through passes each
as a message of its own; the router and the backend put those that wait into one message.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import cycle
from typing import Final

from benchmarks.clients import grpc_streaming
from benchmarks.measures import requests
from benchmarks.mock_engine import CHUNKS
from benchmarks.outcomes import Bar, Figure, Held, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, at_even_moments, in_turn
from benchmarks.system import System

from steersman.api.v1 import router_service_pb2 as pb

STREAMS: Final = 64
KNOWN: Final = 64
"""Prompts whose scores are known."""
FIRST_A_SECOND: Final = 50
"""Streams begun a second, each left after its first message, where the time to that is measured."""


async def chunks(system: System, plan: Plan) -> list[Outcome]:
    """The router with a direct upstream against one pass-through, and with a backend against two."""
    prompts = Prompts(seed=7)
    questions = [requests.chat(prompt) for prompt in prompts.some(KNOWN)]
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(system.peers.beside())
        server = await peers.echo(b"", kind="raw")
        near = await peers.pass_through(server)
        far = await peers.pass_through(near, name="second pass-through")
        backend = await peers.backend(system.engine, slots=2 * STREAMS)
        upstream = {"kind": "backend", "target": backend.address}
        behind = await peers.router(valkey=system.valkey, triton=system.triton, upstream=upstream)

        async def side(name: str, address: str, processes: dict[str, int]) -> Side[list[bytes]]:
            ask = await stack.enter_async_context(grpc_streaming(address, requests.CHAT))
            return Side(name, ask, cycle(questions), _chunks, processes)

        async def first(address: str, name: str) -> Side[list[bytes]]:
            ask = await stack.enter_async_context(grpc_streaming(address, requests.CHAT, only_first=True))
            return Side(name, ask, cycle(questions), len, {})

        sides = [
            await side("router -> mock engine", system.router.address, system.only_router),
            await side("pass-through -> bare server", near.address, {"pass-through": near.pid}),
            await side(
                "router -> backend -> mock engine",
                behind.address,
                {"router": behind.pid, "backend": backend.pid},
            ),
            await side(
                "2 pass-throughs -> bare server",
                far.address,
                {"pass-through": near.pid, "second pass-through": far.pid},
            ),
        ]
        samples = await in_turn(sides, plan, streams=STREAMS)
        beginnings = [
            await first(behind.address, "router -> backend -> mock engine"),
            await first(far.address, "2 pass-throughs -> bare server"),
        ]
        begun = await at_even_moments(beginnings, plan, rate=FIRST_A_SECOND)
    figures = [Figure.of(*each) for each in zip(sides, samples, strict=True)]
    firsts = [Figure.of(*each) for each in zip(beginnings, begun, strict=True)]
    return [
        *(
            Outcome(f"Chat, {hops}, {STREAMS} streams", metric, bar, prompts.lengths, pair[0], pair[1])
            for hops, pair in (("one hop", figures[:2]), ("two hops", figures[2:]))
            for metric, bar in ((Metric.RATE, Bar(0.7)), (Metric.PER_CPU_SECOND, None))
        ),
        Outcome(
            f"Chat, two hops, first chunk, {FIRST_A_SECOND} requests/s offered to both",
            Metric.P50,
            Bar(2.0, least=False),
            prompts.lengths,
            firsts[0],
            firsts[1],
            held=Held.DIFFERENCE,
        ),
    ]


def _chunks(messages: list[bytes]) -> int:
    """Chunks of a stream that holds all of them; one more than those with text tells the end."""
    count = sum(len(pb.ChatResponse.FromString(message).openai_chunks) for message in messages)
    return count if count >= CHUNKS else 0
