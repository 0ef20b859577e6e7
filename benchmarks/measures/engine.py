"""The mock engine alone: shows that it is not what limits the measures in front of it."""

from __future__ import annotations

from itertools import cycle
from typing import Final

from benchmarks.clients import http_post
from benchmarks.measures import requests
from benchmarks.mock_engine import completion
from benchmarks.outcomes import Figure, Metric, Outcome
from benchmarks.prompts import Prompts
from benchmarks.samples import Plan, Side, in_turn
from benchmarks.system import HOST, System

STREAMS: Final = 64


async def alone(system: System, plan: Plan) -> list[Outcome]:
    """Its rate, asked by the generator without anything in between."""
    prompts = Prompts(seed=8)
    bodies = cycle([requests.http(prompt) for prompt in prompts.some(STREAMS)])
    async with http_post(HOST, system.engine.port, requests.HTTP_PATH) as ask:
        side = Side("mock engine", ask, bodies, requests.same_as(completion()), {"engine": system.engine.pid})
        (samples,) = await in_turn([side], plan, streams=STREAMS)
    figure = Figure.of(side, samples)
    title = f"Mock engine, {STREAMS} connections"
    return [
        Outcome(title, metric, None, prompts.lengths, figure)
        for metric in (Metric.RATE, Metric.PER_CPU_SECOND)
    ]
