"""Routers are ended one after another under load: who calls as the documentation says loses nothing."""

from __future__ import annotations

import asyncio
import signal

import grpc

from fakes.engine import fake_engine
from fixtures.callers import Caller, responses
from fixtures.router_process import StartRouter, direct, policies
from steersman.local.parts import CHECKOUT

SERVICE_CONFIG = CHECKOUT / "docs" / "grpc-service-config.json"
CALLERS = 8


async def test_callers_of_two_routers_lose_nothing_when_one_after_the_other_is_ended(
    start_router: StartRouter,
) -> None:
    async with fake_engine() as engine:
        tier = direct(engine.url)
        routers = [await start_router(policies(tier, tier)) for _ in range(2)]
        target = f"ipv4:{','.join(router.grpc for router in routers)}"
        options = [
            ("grpc.service_config", SERVICE_CONFIG.read_text()),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        answered, ended = 0, asyncio.Event()

        async def ask(caller: Caller) -> None:
            nonlocal answered
            while not ended.is_set():
                assert (await caller.complete(model="weak")).text
                assert (await responses(caller.chat(model="weak")))[-1].HasField("summary")
                answered += 1

        async with (
            grpc.aio.insecure_channel(target, options=options) as channel,
            asyncio.TaskGroup() as asking,
        ):
            for _ in range(CALLERS):
                asking.create_task(ask(Caller(channel)))
            for router in [*routers, *routers]:
                before = answered
                router.process.send(signal.SIGTERM)
                assert await router.process.ended() == 0
                await router.process.restart()
                assert answered > before
            ended.set()
