"""What callers write stays between them and the engine: not in Redis, logs, metrics, spans, nor in anybody's errors."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator

import grpc
import orjson
import pytest
import redis.asyncio

from fixtures.callers import body, calling, conversation, failure, fetch, responses, until
from fixtures.redis_entries import keys, scores, value
from fixtures.router_process import StartRouter, direct, policies
from steersman.api.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    router_service_pb2 as pb,
)
from steersman.local.system import System
from steersman.router.model import NOBODY
from steersman.router.recorded import decode

CANARY = f"canary{secrets.token_hex(6)}"
"""Stands in every prompt of this module, and nowhere else on earth."""
KEY = f"sk-{CANARY}"
OURS = ("router", "weak_backend", "strong_backend", "triton", "valkey", "collector")
"""Whose logs are looked at. An engine is not ours: llama.cpp's log quotes the parts of a request that it refuses."""


async def post(system: System, data: bytes, **headers: str) -> int:
    sent = {"Authorization": f"Bearer {KEY}", **headers}
    answer = await fetch(f"{system.addresses.router_http}/v1/chat/completions", data=data, headers=sent)
    return answer.status


async def ask_well(system: System) -> None:
    text = f"My name is {CANARY}, what is yours?"
    assert await post(system, body(text)) == 200
    assert await post(system, body(text)) == 200
    assert await post(system, body(text, stream=True)) == 200
    assert await post(system, body(text, user=CANARY, metadata={"a": CANARY})) == 200
    assert await post(system, body(text), **{"x-steersman-session-id": CANARY, "x-request-id": CANARY}) == 200
    answer = await fetch(f"{system.addresses.router_http}/v1/chat/completions", data=body(text))
    decision_id = answer.headers["x-steersman-decision-id"]
    explained = await fetch(f"{system.addresses.router_http}/v1/decisions/{decision_id}")
    assert explained.status == 200
    assert CANARY.encode() not in explained.body
    async with calling(system.addresses.router_grpc) as caller:
        for threshold in (0.0, 1.0):
            await caller.complete(text, threshold=threshold)
            await responses(caller.chat(text, threshold=threshold))


async def say(url: str, data: bytes) -> None:
    """Write bytes to a port, and wait until its owner hangs up."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    writer.write_eof()
    assert b" 200 " not in await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def ask_badly(system: System) -> None:
    long = f"{CANARY} " * 20_000
    bodies = {
        body(CANARY, model=CANARY): 400,
        body(CANARY, max_tokens=CANARY): 400,
        body(f"{CANARY}\0"): 400,
        body(long): 400,
        body(CANARY)[:-2]: 400,
        CANARY.encode(): 400,
        orjson.dumps({"messages": [{"role": CANARY, "content": CANARY}]}): 400,
        body(
            CANARY, response_format={"type": "json_schema", "json_schema": {"schema": {"type": CANARY}}}
        ): 400,
        body(CANARY, messages=[{"role": "user", "content": [{"type": CANARY}]}]): 400,
        body(long * 60): 413,
    }
    for data, status in bodies.items():
        assert await post(system, data) == status
    assert await post(system, body(CANARY), **{"x-steersman-threshold": CANARY}) == 400
    await fetch(f"{system.addresses.router_http}/{CANARY}?q={CANARY}")
    assert (await fetch(f"{system.addresses.router_http}/v1/decisions/{CANARY}")).status == 400
    for feedback in ({"id": CANARY, "quality": 1}, {"id": "0" * 32, "quality": CANARY}, {CANARY: CANARY}):
        url = f"{system.addresses.router_http}/v1/feedback"
        assert (await fetch(url, data=orjson.dumps(feedback))).status == 400
    for head in (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}\r\n",
        f"GET /{CANARY} HTTP/9\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}\x01\r\n\r\n",
        f"{CANARY} {CANARY}\r\n\r\n",
    ):
        await say(system.addresses.router_http, head.encode())
    async with calling(system.addresses.router_grpc) as caller:
        requests = [
            pb.CompleteRequest(conversation=conversation(CANARY), model=CANARY),
            pb.CompleteRequest(openai_body=CANARY.encode()),
            pb.CompleteRequest(conversation=conversation(long)),
            pb.CompleteRequest(conversation=conversation(f"{CANARY}\0")),
        ]
        for request in requests:
            error = await failure(caller.stub.Complete(request, timeout=20))
            assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        endless = pb.CompleteRequest(openai_body=body(CANARY, model="weak", max_tokens=1000, ignore_eos=True))
        error = await failure(caller.stub.Complete(endless, timeout=0.3))
        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        caller.chat(CANARY, max_tokens=1000, model="weak").cancel()
        await failure(caller.raw(f"/{CANARY}/{CANARY}", CANARY.encode()))
        await failure(caller.raw("/steersman.api.v1.DecisionService/ExplainDecision", CANARY.encode()))
        decisions = decision_service_pb2_grpc.DecisionServiceStub(caller.channel)
        await failure(
            decisions.ExplainDecision(decision_service_pb2.ExplainDecisionRequest(id=CANARY), timeout=20)
        )
        shown = (("authorization", f"Bearer {KEY}"), ("x-other", CANARY))
        await caller.stub.Route(
            pb.RouteRequest(conversation=conversation(CANARY), session_id=CANARY), timeout=20, metadata=shown
        )


@pytest.fixture
async def asked(system: System) -> None:
    """Prompts with the canary, good and bad, have been through the system."""
    await ask_well(system)
    await ask_badly(system)


@pytest.fixture
async def store(system: System) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.from_url(system.addresses.redis) as client:
        yield client


async def dump(store: redis.asyncio.Redis) -> bytes:
    """All keys and values."""
    keys = [key async for key in store.scan_iter()]
    values = await store.mget(keys) if keys else []
    return repr((keys, values)).encode()


async def traces(system: System) -> bytes:
    """Every span that the collector has kept."""
    listed = (await fetch(system.addresses.traces)).json["traces"]
    return b"".join([(await fetch(f"{system.addresses.traces}/{each['trace_id']}")).body for each in listed])


@pytest.mark.usefixtures("asked")
async def test_nothing_that_a_caller_wrote_is_found_anywhere_behind_the_router(
    system: System, store: redis.asyncio.Redis
) -> None:
    async def written() -> bool:
        return b"steersman:score" in await dump(store)

    async def collected() -> bool:
        return b"UNKNOWN_MODEL" in await traces(system)

    await until(written)
    await until(collected)
    ports = [system.addresses.metrics, *_metrics_of_backends(system)]
    places = {
        "Redis": await dump(store),
        "the spans": await traces(system),
        **{f"the metrics at {url}": (await fetch(url)).body for url in ports},
        **{f"the log of {name}": system.processes[name].log.read_bytes() for name in OURS},
    }
    assert len(places) == 5 + len(OURS)
    for place, content in places.items():
        assert content or place.startswith("the log"), f"{place} is empty, and proves nothing"
        assert CANARY.encode() not in content, f"the canary is in {place}"


def _metrics_of_backends(system: System) -> list[str]:
    return [f"http://{tier.backend.metrics}/metrics" for tier in system.plan.layout.tiers.values()]


@pytest.mark.usefixtures("asked")
async def test_what_redis_holds_is_a_few_numbers_that_expire(store: redis.asyncio.Redis) -> None:
    async def written() -> bool:
        return bool(await scores(store))

    await until(written)
    for key in await scores(store):
        assert len(key) == len(b"steersman:score:1:") + 32
        assert 0 < await store.ttl(key) <= 86_400 * 1.1 + 1
        assert len(await store.get(key) or b"") == 14


@pytest.mark.usefixtures("asked")
async def test_what_redis_holds_of_conversations_is_a_tier_and_an_address_that_expire(
    store: redis.asyncio.Redis,
) -> None:
    async def written() -> bool:
        return bool(await keys(store, "steersman:session:*"))

    await until(written)
    for key in await keys(store, "steersman:session:*"):
        assert len(key) == len(b"steersman:session:1:") + 32
        assert 0 < await store.ttl(key) <= 3600 * 1.1 + 1
        tier, _, address = (await value(store, key)).partition(b"\0")
        assert tier in {b"weak", b"strong"}
        assert len(address) < 40


@pytest.mark.usefixtures("asked")
async def test_what_redis_holds_of_decisions_is_numbers_and_names_of_the_operators_that_expire(
    store: redis.asyncio.Redis,
) -> None:
    async def written() -> bool:
        return bool(await keys(store, "steersman:decision:*"))

    await until(written)
    for key in await keys(store, "steersman:decision:*"):
        assert len(key) == len(b"steersman:decision:1:") + 32
        assert 0 < await store.ttl(key) <= 3600 * 1.1 + 1
        kept = await value(store, key)
        assert CANARY.encode() not in kept
        record = decode(kept)
        assert record is not None
        assert record.decision is not None
        assert record.caller == NOBODY


async def test_a_key_cannot_be_guessed_without_the_secret(system: System, store: redis.asyncio.Redis) -> None:
    text = f"Guess me, {CANARY}"
    async with calling(system.addresses.router_grpc) as caller:
        await caller.route(text)

    async def written() -> bool:
        return bool(await store.dbsize())

    await until(written)
    content = await dump(store)
    for algorithm in ("sha256", "sha1", "md5", "blake2b"):
        digest = hashlib.new(algorithm, text.encode())
        assert digest.digest()[:16] not in content
        assert digest.hexdigest().encode() not in content


async def test_scores_are_shared_by_replicas_with_the_same_secret_and_by_no_others(
    system: System, store: redis.asyncio.Redis, start_router: StartRouter
) -> None:
    text = f"Only some replicas may know about this: {CANARY}"
    tier = direct("http://127.0.0.1:9")

    async def cache_of_new_replica(secret: str) -> decision_pb2.CacheState:
        router = await start_router(
            policies(tier, tier),
            classifier=system.addresses.triton_grpc,
            cache=system.addresses.redis,
            settings={"CACHE__HMAC_KEY": secret},
        )
        async with calling(router.grpc) as caller:
            decision = await caller.route(text)
            assert decision.HasField("score")
            return decision.cache

    before = len(await scores(store))

    async def written() -> bool:
        return len(await scores(store)) > before

    assert await cache_of_new_replica("secret") == decision_pb2.CACHE_STATE_MISS
    await until(written)
    assert await cache_of_new_replica("secret") == decision_pb2.CACHE_STATE_L2_HIT
    assert await cache_of_new_replica("another secret") == decision_pb2.CACHE_STATE_MISS


async def test_an_error_does_not_repeat_the_prompt(system: System) -> None:
    url = f"{system.addresses.router_http}/v1/chat/completions"
    for data in (body(f"{CANARY}\0"), body(CANARY)[:-2], body(CANARY, max_tokens=-1), body(CANARY * 20_000)):
        answer = await fetch(url, data=data)
        assert answer.status == 400
        assert CANARY.encode() not in answer.body
