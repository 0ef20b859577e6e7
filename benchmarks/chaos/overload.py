"""Three times what the engines can do: what is answered, how the rest is refused, and what the scaler sees of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
import orjson
from benchmarks.chaos.processor import watched
from benchmarks.chaos.refusing import demand, says_when
from benchmarks.chaos.small_stand import Engine, small_stand

from steersman.api.v1 import router_service_pb2 as pb, router_service_pb2_grpc

_SLOTS: Final = 8
_QUEUE: Final = 8
_SECONDS: Final = 8.0
_TIMES: Final = 3.0
_DEADLINE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Overloaded:
    """What came of it.

    Attributes:
        peak: Answers a second of as many callers as the engine has slots.
        offered: Requests a second.
        goodput: Answers a second then.
        refused_without_retry_info: Refusals that do not say when to come back.
        other: Requests that neither were answered nor refused.
        unmet: What the routers tell the scaler they could not serve.
        slowed: By how much each process was slower than it would have been alone on the machine.
    """

    peak: float
    offered: float
    goodput: float
    goodput_of_peak: float
    answered: int
    answered_p50_ms: float
    answered_p99_ms: float
    refused: int
    refused_p50_ms: float
    refused_p99_ms: float
    refused_without_retry_info: int
    other: int
    unmet: int
    slowed: Mapping[str, float]


@dataclass(slots=True)
class _Seen:
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    silent: int = 0
    other: int = 0


async def overload(folder: Path) -> Overloaded:
    """Find the peak, then ask three times as often."""
    async with (
        small_stand(folder, Engine(pieces=10, pause=0.025), slots=_SLOTS, queue=_QUEUE) as stand,
        grpc.aio.insecure_channel(stand.grpc[0]) as channel,
    ):
        stub = router_service_pb2_grpc.RouterServiceStub(channel)
        await _closed(stub, 2.0)
        peak = len((await _closed(stub, _SECONDS)).answered) / _SECONDS
        before = await _unmet(channel)
        pids = {"router": stand.routers[0].pid, "backend": stand.backend.pid, "this": os.getpid()}
        with watched(pids) as processor:
            seen = await _open(stub, _TIMES * peak)
        unmet = await _unmet(channel) - before
    answered, refused = sorted(seen.answered), sorted(seen.refused)
    return Overloaded(
        peak=peak,
        offered=_TIMES * peak,
        goodput=len(answered) / _SECONDS,
        goodput_of_peak=len(answered) / _SECONDS / peak,
        answered=len(answered),
        answered_p50_ms=_percentile(answered, 0.5),
        answered_p99_ms=_percentile(answered, 0.99),
        refused=len(refused),
        refused_p50_ms=_percentile(refused, 0.5),
        refused_p99_ms=_percentile(refused, 0.99),
        refused_without_retry_info=seen.silent,
        other=seen.other,
        unmet=unmet,
        slowed=processor.slowed,
    )


async def _closed(stub: router_service_pb2_grpc.RouterServiceStub, seconds: float) -> _Seen:
    seen, end = _Seen(), time.perf_counter() + seconds

    async def stream() -> None:
        while time.perf_counter() < end:
            await _ask(stub, seen, time.perf_counter())

    await asyncio.gather(*(stream() for _ in range(_SLOTS)))
    return seen


async def _open(stub: router_service_pb2_grpc.RouterServiceStub, rate: float) -> _Seen:
    seen, started, tasks = _Seen(), time.perf_counter(), []
    for number in range(round(rate * _SECONDS)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(_ask(stub, seen, due)))
    await asyncio.gather(*tasks)
    return seen


async def _ask(stub: router_service_pb2_grpc.RouterServiceStub, seen: _Seen, due: float) -> None:
    body = orjson.dumps(
        {"model": "behind", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    )
    try:
        async for _ in stub.Chat(pb.ChatRequest(openai_body=body), timeout=_DEADLINE_SECONDS):
            pass
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            seen.other += 1
            return
        seen.refused.append(1000 * (time.perf_counter() - due))
        seen.silent += not says_when(error)
    else:
        seen.answered.append(1000 * (time.perf_counter() - due))


async def _unmet(channel: grpc.aio.Channel) -> int:
    """Requests that were not met, as the scaler hears of them."""
    return sum(each.demand.unmet_total for each in (await demand(channel)).tiers)


def _percentile(ascending: Sequence[float], part: float) -> float:
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))] if ascending else 0.0
