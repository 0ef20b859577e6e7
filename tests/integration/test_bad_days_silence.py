"""A pod or its engine is stopped and says nothing more: what waits for it is answered by the other pod in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from fixtures.callers import Caller, calling, metric, responses
from fixtures.real_parts import Engine, Starter
from fixtures.router_process import Backend, Router, RouterStarter, behind, direct, policies
from steersman.local.parts import Parts
from steersman.local.ports import Ports

DEADLINE = 90.0
"""Of callers; shorter than what the router or a backend would wait for an answer that is not streamed."""


@dataclass
class Pods:
    """Two pods of tier strong, each a backend with a real engine of its own, and a router before them."""

    engines: list[Engine]
    backends: list[Backend]
    router: Router
    caller: Caller

    def stop(self, part: str) -> None:
        """Freeze one of the pods' parts, with all of its connections."""
        (self.backends if part == "backend" else self.engines)[0].process.pause()

    async def ask(self, *, stream: bool) -> str:
        """The text of an answer of tier strong."""
        if not stream:
            return (await self.caller.complete(model="strong", seconds=DEADLINE)).text
        return "".join(
            each.text for each in await responses(self.caller.chat(model="strong", seconds=DEADLINE))
        )


@pytest.fixture
async def pods(parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pods]:
    async with AsyncExitStack() as stack:
        starters = [Starter(parts, ports, tmp_path_factory.mktemp("engine")) for _ in range(2)]
        for starter in starters:
            stack.push_async_callback(starter.close)
        engines = list(await asyncio.gather(*(starter.engine() for starter in starters)))
        ours = RouterStarter(parts, ports, tmp_path_factory.mktemp("router"))
        stack.push_async_callback(ours.close)
        backends = list(await asyncio.gather(*(ours.backend(engine.url) for engine in engines)))
        model = engines[0].model
        router = await ours.start(
            policies(
                direct(engines[0].url, model=model),
                behind(*(backend.grpc for backend in backends), model=model),
                tier_fallback=False,
            ),
            settings={"DISPATCH__RETRY_RATIO": 1},
        )
        yield Pods(engines, backends, router, await stack.enter_async_context(calling(router.grpc)))
        for process in (backends[0].process, engines[0].process):
            process.resume()


@pytest.mark.parametrize("part", ["backend", "engine"])
async def test_a_pod_that_is_stopped_costs_callers_time_and_no_answer(pods: Pods, part: str) -> None:
    await asyncio.gather(*(pods.ask(stream=True) for _ in range(2)))
    await asyncio.sleep(1.5)  # the router asks pods every second; who has never answered is not missed
    pods.stop(part)
    answers = await asyncio.gather(*(pods.ask(stream=stream) for stream in (True, False) * 2))
    assert all(answers)
    assert await metric(pods.router.metrics, "steersman_retries_total", tier="strong") >= 1
    if part == "backend":
        await pods.ask(stream=False)
        assert await metric(pods.router.metrics, "steersman_retries_total", tier="strong") <= len(answers)
