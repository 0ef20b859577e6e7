"""Callers that leave at random moments, and how soon the engine's call ends.

The time is that from the caller's leaving to the end of the connection at the engine, in one process and by one clock;
it holds the caller's own client, the router and, where there is one, the backend.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import grpc
import orjson
from benchmarks.chaos.processor import Busiest
from benchmarks.chaos.small_stand import Engine, SmallStand, small_stand

from steersman.api.v1 import router_service_pb2 as pb, router_service_pb2_grpc

_AT_ONCE: Final = 4
_NOTICE_SECONDS: Final = 3.0
"""Longest time that the end of a call is waited for."""


@dataclass(frozen=True, slots=True)
class Left:
    """How soon the engine's call ended for one way of asking, in milliseconds.

    Attributes:
        way: Protocol, form of the answer and tier.
        left: Callers that left.
        not_asked: Of these, before the engine had been asked; nothing was to be cancelled.
        complete: After it had answered.
        cancelled: In between.
        never: Whose calls went on for three more seconds.
        p99_alone_ms: As p99, without the time that the processes were ready to go on and had no processor.
    """

    way: str
    left: int
    not_asked: int
    complete: int
    cancelled: int
    never: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    worst_ms: float
    p99_alone_ms: float


async def leave(folder: Path, times: int, seed: int) -> list[Left]:
    """Leave so many times, in equal parts for each way of asking."""
    async with (
        small_stand(folder, Engine(pieces=10, pause=0.02)) as stand,
        grpc.aio.insecure_channel(stand.grpc[0]) as channel,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        ways = {
            f"{protocol} {form}, {tier}": _way(protocol, form, tier, _Clients(stub, http, stand.http[0]))
            for tier in ("direct", "behind")
            for protocol in ("gRPC", "HTTP")
            for form in ("stream", "whole")
        }
        for ask in ways.values():
            await ask(0)
        pids = (os.getpid(), stand.routers[0].pid, stand.backend.pid)
        busiest = [Busiest(pid) for pid in pids]
        stand.engine.ready = lambda: sum(each.ready() for each in busiest)
        return [await _leave(stand, name, ask, times // len(ways), seed) for name, ask in ways.items()]


@dataclass(frozen=True, slots=True)
class _Gone:
    """When a caller left, and how long the processes had been ready to go on by then."""

    at: float
    ready: float


@dataclass(frozen=True, slots=True)
class _Clients:
    stub: router_service_pb2_grpc.RouterServiceStub
    http: aiohttp.ClientSession
    url: str


def _way(protocol: str, form: str, tier: str, clients: _Clients) -> Callable[[int], Awaitable[None]]:
    async def ask(number: int) -> None:
        body = orjson.dumps(
            {
                "model": tier,
                "messages": [{"role": "user", "content": f"Number #{number}#."}],
                "stream": form == "stream",
            }
        )
        if protocol == "HTTP":
            async with clients.http.post(f"{clients.url}/v1/chat/completions", data=body) as response:
                await response.read()
        elif form == "stream":
            async for _ in clients.stub.Chat(pb.ChatRequest(openai_body=body), timeout=20):
                pass
        else:
            await clients.stub.Complete(pb.CompleteRequest(openai_body=body), timeout=20)

    return ask


async def _leave(
    stand: SmallStand, way: str, ask: Callable[[int], Awaitable[None]], times: int, seed: int
) -> Left:
    chance = random.Random(f"{seed} {way}")  # noqa: S311 - no secret
    engine = stand.engine
    engine.calls.clear()
    for number in range(10_000, 10_004):
        await ask(number)
    whole = engine.pieces * engine.pause * 1.2
    moments = [chance.uniform(0.0, whole) for _ in range(times)]
    left: dict[int, _Gone] = {}
    for start in range(0, times, _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, times))
        left |= dict(await asyncio.gather(*(_one(engine, ask, number, moments[number]) for number in some)))
    await _until_noticed(engine)
    return _figures(way, engine, left)


async def _one(
    engine: Engine, ask: Callable[[int], Awaitable[None]], number: int, after: float
) -> tuple[int, _Gone]:
    asking = asyncio.ensure_future(ask(number))
    await asyncio.wait([asking], timeout=after)
    gone = _Gone(ready=engine.ready(), at=time.perf_counter())
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    return number, gone


async def _until_noticed(engine: Engine) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_NOTICE_SECONDS):
            while any(  # noqa: ASYNC110 - an engine tells nobody
                call.lost is None and not call.done for call in engine.calls.values()
            ):
                await asyncio.sleep(0.05)


def _figures(way: str, engine: Engine, left: dict[int, _Gone]) -> Left:
    calls = {number: engine.calls.get(number) for number in left}
    lost = [
        (1000 * max(0.0, call.lost - left[number].at), 1000 * (call.ready - left[number].ready))
        for number, call in calls.items()
        if call is not None and call.lost is not None
    ]
    times = sorted(taken for taken, _ in lost)
    alone = sorted(max(0.0, taken - ready) for taken, ready in lost)
    return Left(
        way=way,
        left=len(left),
        not_asked=sum(call is None for call in calls.values()),
        complete=sum(call is not None and call.done for call in calls.values()),
        cancelled=len(times),
        never=sum(call is not None and not call.done and call.lost is None for call in calls.values()),
        p50_ms=_percentile(times, 0.5),
        p90_ms=_percentile(times, 0.9),
        p99_ms=_percentile(times, 0.99),
        worst_ms=times[-1] if times else 0.0,
        p99_alone_ms=_percentile(alone, 0.99),
    )


def _percentile(ascending: Sequence[float], part: float) -> float:
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))] if ascending else 0.0
