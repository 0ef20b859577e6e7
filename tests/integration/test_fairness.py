"""Tenants of one router, one of whom sends far more than the others: who gets in, and in which order, by counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from fakes.engine import FakeEngine, fake_engine
from fixtures.callers import RichError, calling, conversation, metric, rich, until
from fixtures.router_process import Router, StartBackend, StartRouter, behind, direct, policies
from steersman.api.v1 import router_service_pb2 as pb, router_service_pb2_grpc
from steersman.identity import key_file, keys

OTHERS = tuple(f"team-{number}" for number in range(1, 5))
MANY = "abuser"
_OK = "OK"


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    """An engine that answers when it is released."""
    async with fake_engine(hold_before_answer=True) as each:
        yield each


@dataclass
class Crowd:
    """Tenants before a router, each of whose requests names it to the engine."""

    router: Router
    stub: router_service_pb2_grpc.RouterServiceStub
    shown: dict[str, str]

    def send(self, tenant: str, count: int) -> list[asyncio.Task[str | RichError]]:
        """So many requests at once; each comes to `OK`, or to its error."""
        return [asyncio.create_task(self._one(tenant)) for _ in range(count)]

    async def _one(self, tenant: str) -> str | RichError:
        request = pb.CompleteRequest(model="weak", conversation=conversation(tenant))
        metadata = (("authorization", f"Bearer {self.shown[tenant]}"),)
        try:
            await self.stub.Complete(request, timeout=60, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return rich(error)
        return _OK


async def crowd(
    stack: AsyncExitStack,
    start_router: StartRouter,
    folder: Path,
    tier: dict[str, Any],
    *,
    max_in_flight: int = 4096,
    weights: Mapping[str, float] | None = None,
) -> Crowd:
    names = (*OTHERS, MANY)
    made = {name: keys.make(name, created=datetime.now(UTC)) for name in names}
    (folder / "keys.yaml").write_bytes(key_file.render(kept for _, kept in made.values()))
    content = {
        **policies(tier, tier),
        "tenants": {name: {"weight": (weights or {}).get(name, 1.0)} for name in names},
    }
    settings = {"IDENTITY__KEY_FILE": folder / "keys.yaml", "REQUESTS__MAX_IN_FLIGHT": max_in_flight}
    router = await start_router(content, settings=settings)
    caller = await stack.enter_async_context(calling(router.grpc))
    return Crowd(router, caller.stub, {name: shown for name, (shown, _) in made.items()})


def tenants_seen(engine: FakeEngine) -> list[str]:
    """Whose requests the engine had, in their order."""
    return [orjson.loads(seen.body)["messages"][0]["content"] for seen in engine.seen]


async def in_progress(router: Router, count: int) -> None:
    async def holds() -> bool:
        running = await metric(router.metrics, "steersman_demand", part="router", state="running")
        return running == count

    await until(holds)


async def test_a_full_router_has_room_for_tenants_with_less_than_their_share(
    start_router: StartRouter, engine: FakeEngine, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        some = await crowd(stack, start_router, tmp_path, direct(engine.url), max_in_flight=32)
        one = some.send(OTHERS[0], 1)
        await in_progress(some.router, 1)
        many = some.send(MANY, 60)
        await in_progress(some.router, 28)  # all but an eighth
        others = [*one, *(task for name in OTHERS for task in some.send(name, 1))]
        await in_progress(some.router, 32)
        engine.release()
        assert await asyncio.gather(*others) == [_OK] * 5
        told = await asyncio.gather(*many)
    refused = [each for each in told if isinstance(each, RichError)]
    assert len(refused) == 60 - 27
    assert {(each.code, each.reason, each.retry_after) for each in refused} == {
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "ROUTER_FULL", 1.0)
    }


async def test_at_a_backend_tenants_take_turns_and_places_go_to_those_with_few(
    start_router: StartRouter, start_backend: StartBackend, engine: FakeEngine, tmp_path: Path
) -> None:
    backend = await start_backend(engine.url, ENGINE__SLOTS=1, QUEUE__LENGTH=16)
    async with AsyncExitStack() as stack:
        some = await crowd(stack, start_router, tmp_path, behind(backend.grpc, model="fake-model"))
        many = some.send(MANY, 50)
        await in_progress(some.router, 17)  # one at the engine, and as many as may wait
        others = [task for name in OTHERS for task in some.send(name, 3)]
        await in_progress(some.router, 17)
        await until(lambda: _evicted(many, 50 - 17 + 12))
        engine.release()
        assert await asyncio.gather(*others) == [_OK] * 12
        told = Counter(each if isinstance(each, str) else each.reason for each in await asyncio.gather(*many))
    assert told == {_OK: 5, "QUEUE_FULL": 45}
    order = tenants_seen(engine)
    assert order[0] == MANY
    assert order[1:16].count(MANY) == 3  # one in each round of five tenants
    assert order[16:] == [MANY]


async def test_turns_go_by_weight(
    start_router: StartRouter, start_backend: StartBackend, engine: FakeEngine, tmp_path: Path
) -> None:
    backend = await start_backend(engine.url, ENGINE__SLOTS=1, QUEUE__LENGTH=64)
    async with AsyncExitStack() as stack:
        tier, weights = behind(backend.grpc, model="fake-model"), {OTHERS[0]: 3.0}
        some = await crowd(stack, start_router, tmp_path, tier, weights=weights)
        sent = some.send(MANY, 20)
        await in_progress(some.router, 20)
        sent += some.send(OTHERS[0], 20)
        await in_progress(some.router, 40)
        engine.release()
        assert await asyncio.gather(*sent) == [_OK] * 40
    assert tenants_seen(engine)[1:25].count(OTHERS[0]) == pytest.approx(18, abs=1)


async def _evicted(tasks: list[asyncio.Task[str | RichError]], count: int) -> bool:
    return sum(task.done() for task in tasks) == count
