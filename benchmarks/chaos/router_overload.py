"""Three times what a router can do, where engines could do more: what is left of its peak, and how the rest ends.

The router has a core to itself and is asked for whole answers, whose scores it knows, by an engine that costs next to
nothing; who asks, the engine and all else have the other cores. On two of them the generator can just offer that over
gRPC. Over HTTP, in a system of its own, it cannot: there the router has half of its core, and a process that does
nothing else works on the other half.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from benchmarks.beside import Beside, beside
from benchmarks.chaos import crowd
from benchmarks.chaos.cores import apart, shared
from benchmarks.chaos.crowd import Crowd, EvenMoments, Got, Streams
from benchmarks.chaos.probing import probed
from benchmarks.chaos.processor import watched
from benchmarks.chaos.refusing import demand
from benchmarks.chaos.ways import OverGrpc, OverHttp, Way
from benchmarks.clients import grpc_unary
from benchmarks.measures import requests
from benchmarks.measures.complete import KNOWN, right
from benchmarks.measures.http_unary import completes
from benchmarks.prompts import Prompts
from benchmarks.samples import percentile
from benchmarks.system import HOST, Router, System, system

_STREAMS: Final = 64
_WARM_UP_SECONDS: Final = 2.0
_PEAK_SECONDS: Final = 8.0
_SECONDS: Final = 20.0
_TIMES: Final = 3.0
_DEADLINE_SECONDS: Final = 2.0
_LONGEST_SECONDS: Final = 120.0
"""Of a run, start and end left out."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a router is asked for whole answers.

    Attributes:
        way: How, for a router.
        question: Of a prompt.
        right: What an answer counts for; 0 when it is wrong.
        on_half: Whether the router has half of its core only.
    """

    way: Callable[[Router], Way]
    question: Callable[[str], bytes]
    right: Callable[[bytes], int]
    on_half: bool = False


@dataclass(frozen=True, slots=True)
class RouterOverloaded:
    """What came of it, and of another peak afterwards.

    Attributes:
        alone: Whether the router had a core to itself.
        peak: Answers a second to callers of which each asks again as soon as it has one.
        offered: Requests a second that were really sent then.
        sent_late_p99_ms: How much later than they were due.
        generator_busy: Part of the time that the sender worked.
        goodput: Right answers a second within the deadline.
        peak_per_cpu_second: Answers a second of processor time that the router had while its peak was found.
        goodput_per_cpu_second: Right answers a second of what it had then; with other work on the machine, this says
            more than `goodput_of_peak`.
        refused: In words that say when to come back.
        refused_without_retry_info: In others.
        shed: Cancelled by the router's gRPC before they were taken up; over HTTP the same is a refusal.
        wrong: Answers that were not what they should have been.
        failed: Whatever else, by what it was.
        unmet: What the router told the scaler that it could not serve.
        probes: Kubelet's, at the port for health, that were answered with SERVING meanwhile.
        probes_missed: Those that were not, in the time that the chart gives them.
        peak_after: As `peak`, some time later.
        slowed: By how much each process was slower than it would have been alone on its core.
    """

    alone: bool
    peak: float
    offered: float
    sent_late_p99_ms: float
    generator_busy: float
    goodput: float
    goodput_of_peak: float
    peak_per_cpu_second: float
    goodput_per_cpu_second: float
    answered: int
    answered_p50_ms: float
    answered_p99_ms: float
    refused: int
    refused_p50_ms: float
    refused_p99_ms: float
    refused_without_retry_info: int
    shed: int
    shed_p50_ms: float
    shed_p99_ms: float
    wrong: int
    failed: Mapping[str, int]
    unmet: int
    probes: int
    probes_missed: int
    probe_p99_ms: float
    peak_after: float
    slowed: Mapping[str, float]


async def router_overload(folder: Path, edge: Edge) -> RouterOverloaded:
    """Find the peak of an edge, then ask it three times as often."""
    prompts = Prompts(seed=11).some(KNOWN)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(system(folder))
        await _have_decided(running, prompts)
        asking = Crowd(
            edge.way(running.router), [edge.question(each) for each in prompts], edge.right, _DEADLINE_SECONDS
        )
        generator = await stack.enter_async_context(beside(crowd.serve, asking))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.router.address))
        others = [generator.pid, running.engine.pid, running.valkey.pid, running.triton.pid, os.getpid()]
        alone = stack.enter_context(apart(running.router.pid, others))
        if edge.on_half:
            stack.enter_context(shared(running.router.pid, _LONGEST_SECONDS))
        await _peak(generator, _WARM_UP_SECONDS)
        pids = {"router": running.router.pid, "engine": running.engine.pid, "generator": generator.pid}
        with watched(pids) as at_peak:
            peak = await _peak(generator, _PEAK_SECONDS)
        before = (await demand(channel)).router.unmet_total
        async with probed(running.router.health_address) as probes:
            with watched(pids) as processor:
                got: Got = await generator.ask(EvenMoments(_TIMES * peak, _SECONDS))
        peak_after = await _peak(generator, _PEAK_SECONDS)
        unmet = (await demand(channel)).router.unmet_total - before
    return RouterOverloaded(
        alone=alone,
        peak=peak,
        offered=got.sent / got.seconds,
        sent_late_p99_ms=_ms(got.late, 99),
        generator_busy=got.busy,
        goodput=len(got.answered) / _SECONDS,
        goodput_of_peak=len(got.answered) / _SECONDS / peak,
        peak_per_cpu_second=peak * _PEAK_SECONDS / at_peak.times["router"].ran,
        goodput_per_cpu_second=len(got.answered) / processor.times["router"].ran,
        answered=len(got.answered),
        answered_p50_ms=_ms(got.answered, 50),
        answered_p99_ms=_ms(got.answered, 99),
        refused=len(got.refused),
        refused_p50_ms=_ms(got.refused, 50),
        refused_p99_ms=_ms(got.refused, 99),
        refused_without_retry_info=got.silent,
        shed=len(got.shed),
        shed_p50_ms=_ms(got.shed, 50),
        shed_p99_ms=_ms(got.shed, 99),
        wrong=got.wrong,
        failed=dict(got.failed),
        unmet=unmet,
        probes=len(probes.seconds),
        probes_missed=probes.missed,
        probe_p99_ms=_ms(probes.seconds, 99),
        peak_after=peak_after,
        slowed=processor.slowed,
    )


EDGES: Final = {
    "gRPC": Edge(lambda router: OverGrpc(router.address, requests.COMPLETE), requests.complete, right),
    "HTTP": Edge(
        lambda router: OverHttp(HOST, router.http_port, requests.HTTP_PATH),
        requests.http,
        completes,
        on_half=True,
    ),
}


async def _have_decided(running: System, prompts: Sequence[str]) -> None:
    """Have the scores of all prompts known."""
    async with grpc_unary(running.router.address, requests.ROUTE) as decide:
        for prompt in prompts:
            await decide(requests.route(prompt))


async def _peak(generator: Beside, seconds: float) -> float:
    got: Got = await generator.ask(Streams(_STREAMS, seconds))
    return len(got.answered) / seconds


def _ms(seconds: Sequence[float], percent: int) -> float:
    return 1000 * percentile(seconds, percent) if seconds else 0.0
