"""Triton is killed, stopped so that it never answers, slow, or talks nonsense: the policy's fallback decides instead.

`scripted` is a real Triton with a model that does what a prompt says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio

from fixtures.callers import Caller, body, calling, fetch, metric, until
from fixtures.real_parts import Starter, StartTriton, StartValkey, Triton, Valkey
from fixtures.redis_entries import scores
from fixtures.router_process import TIERS, Router, RouterStarter, StartRouter, direct, policies
from steersman.api.v1 import decision_pb2
from steersman.local.parts import Parts
from steersman.local.ports import Ports

TIMEOUT = 0.5
SCORE = decision_pb2.DECISION_REASON_SCORE
UNAVAILABLE = decision_pb2.DECISION_REASON_CLASSIFIER_UNAVAILABLE
TIMED_OUT = decision_pb2.DECISION_REASON_CLASSIFIER_TIMEOUT
FAILED = decision_pb2.DECISION_REASON_CLASSIFIER_FAILED
MODEL = """
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        text = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().ravel()[0].decode()
        if "slow" in text:
            time.sleep(2)
        if "error" in text:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("no"))
        score = float("nan") if "nonsense" in text else 0.75
        values = {"SCORE": score, "WIN_PROBABILITY": 0.5, "NOVELTY": 0.1}
        tensors = [
            pb_utils.Tensor(name, np.array([[value]], dtype=np.float32)) for name, value in values.items()
        ]
        tensors.append(pb_utils.Tensor("TRUNCATED", np.array([[False]])))
        return pb_utils.InferenceResponse(output_tensors=tensors)
"""
_numbers = count()


def new_text(word: str = "plain") -> str:
    """A text that nobody has asked about."""
    return f"A {word} question, number {next(_numbers)} of a bad day."


@dataclass
class Day:
    """A Triton and a Redis of one's own, and a router that uses them."""

    triton: Triton
    valkey: Valkey
    router: Router
    caller: Caller

    async def until_recovered(self, **fields: Any) -> None:
        async def recovered() -> bool:
            return (await self.caller.route(new_text(), **fields)).reason == SCORE

        await until(recovered, seconds=30)

    async def entries(self) -> int:
        """Scores in Redis, once the router, which writes them a little later, has no more to write."""
        async with redis.asyncio.from_url(self.valkey.url) as client:
            seen = -1
            while (now := len(await scores(client))) != seen:
                seen = now
                await asyncio.sleep(WRITES_SECONDS)
            return seen


WRITES_SECONDS = 0.1
"""Several times the pause between two writes of a router."""


def content(engine_ports: Mapping[str, int]) -> dict[str, Any]:
    """Policies with each kind of fallback, which all send 30 % to the strong tier."""
    weak, strong = (direct(f"http://127.0.0.1:{engine_ports[tier]}") for tier in TIERS)
    found = policies(weak, strong, threshold=0.7)
    for fallback in ("strong", "weak"):
        found["policies"][f"to-{fallback}"] = {**found["policies"]["auto"], "fallback": fallback}
    return found


pytestmark = pytest.mark.usefixtures("engines")
SETTINGS = {
    "CLASSIFIER__TIMEOUT_SECONDS": TIMEOUT,
    "CLASSIFIER__BREAKER_FAILURES": 3,
    "CLASSIFIER__BREAKER_COOLDOWN_SECONDS": 1,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    parts: Parts, ports: Ports, tmp_path_factory: pytest.TempPathFactory, engine_ports: Mapping[str, int]
) -> AsyncIterator[tuple[Triton, Valkey, Router]]:
    """This module's own parts, since starting a Triton takes its time."""
    starter = Starter(parts, ports, tmp_path_factory.mktemp("triton"))
    routers = RouterStarter(parts, ports, tmp_path_factory.mktemp("router"))
    triton, valkey = await starter.triton(), await starter.valkey()
    router = await routers.start(
        content(engine_ports), classifier=triton.grpc_address, cache=valkey.url, settings=SETTINGS
    )
    yield triton, valkey, router
    await routers.close()
    await triton.process.kill()
    await starter.close()


@pytest.fixture
async def day(shared: tuple[Triton, Valkey, Router]) -> AsyncIterator[Day]:
    """All is well, as it will be again."""
    triton, valkey, router = shared
    triton.process.resume()
    if not triton.process.running:
        await triton.process.restart()
    async with calling(router.grpc) as caller:
        day = Day(triton, valkey, router, caller)
        await day.until_recovered()
        yield day


async def failures(day: Day, reason: str) -> float:
    return await metric(day.router.metrics, "steersman_classifier_failures_total", reason=reason)


async def test_a_triton_that_was_killed_is_replaced_by_the_fallback_until_it_is_back(day: Day) -> None:
    known = new_text()
    before = await day.caller.route(known)
    entries, failed_before = await day.entries(), await failures(day, "CLASSIFIER_UNAVAILABLE")
    await day.triton.process.kill()
    lost = new_text()
    for policy, tiers in (("auto", {"weak", "strong"}), ("to-strong", {"strong"}), ("to-weak", {"weak"})):
        response = await day.caller.complete(lost, model=policy)
        decision = response.decision
        assert response.text == "Hello there!"
        assert decision.tier in tiers
        assert decision.reason == decision.classifier_failure == UNAVAILABLE
        assert not decision.HasField("score")
    answer = await fetch(f"{day.router.http}/v1/chat/completions", data=body(new_text()))
    assert answer.headers["x-steersman-classifier-failure"] == "CLASSIFIER_UNAVAILABLE"
    assert (await day.caller.route(known)).score == before.score, "what is cached needs no classifier"
    assert await day.entries() == entries, "a fallback is never cached"
    assert await failures(day, "CLASSIFIER_UNAVAILABLE") == failed_before + 4
    await day.triton.process.restart()
    await day.until_recovered()
    after = await day.caller.route(lost)
    assert (after.reason, after.cache) == (SCORE, decision_pb2.CACHE_STATE_MISS)


async def test_the_proportional_fallback_keeps_the_planned_share_and_the_same_tier_for_the_same_text(
    day: Day,
) -> None:
    await day.triton.process.kill()
    texts = [new_text() for _ in range(600)]
    tiers = [(await day.caller.route(text)).tier for text in texts]
    assert 0.22 < tiers.count("strong") / len(tiers) < 0.38, "30 %, four standard deviations"
    again = [await day.caller.route(text) for text in texts[:50]]
    assert [decision.tier for decision in again] == tiers[:50]
    assert {decision.reason for decision in again} == {UNAVAILABLE}
    assert await breaker_is_open(day)


async def breaker_is_open(day: Day) -> bool:
    return await metric(day.router.metrics, "steersman_breaker_state", part="classifier") > 0


async def test_a_triton_that_never_answers_costs_its_timeout_a_few_times_and_then_nothing(day: Day) -> None:
    entries = await day.entries()
    day.triton.process.pause()
    reasons, took, lost = [], [], new_text()
    for text in (lost, *(new_text() for _ in range(5))):
        response = await day.caller.complete(text)
        assert response.text == "Hello there!"
        reasons.append(response.decision.reason)
        took.append(response.summary.overhead.classify.ToTimedelta().total_seconds())
        if len(reasons) == 3:
            await until(
                lambda: breaker_is_open(day)
            )  # the call's deadline may fire a little after the query's
    assert reasons[:3] == [TIMED_OUT] * 3
    assert all(TIMEOUT * 0.9 < seconds < TIMEOUT + 0.5 for seconds in took[:3])
    assert reasons[3:5] == [UNAVAILABLE] * 2, "the breaker is open"
    assert max(took[3:5]) < 0.1
    assert await day.entries() == entries
    day.triton.process.resume()
    await day.until_recovered()
    after = await day.caller.route(lost)
    assert (after.reason, after.cache) == (SCORE, decision_pb2.CACHE_STATE_MISS)


async def test_a_router_starts_before_a_triton_that_hangs_and_finds_it_when_it_answers(
    day: Day, start_router: StartRouter, engine_ports: Mapping[str, int]
) -> None:
    day.triton.process.pause()
    router = await start_router(
        content(engine_ports), classifier=day.triton.grpc_address, cache=day.valkey.url, settings=SETTINGS
    )
    assert (await fetch(f"{router.http}/readyz")).json["parts"] == {"classifier": "degraded"}
    async with calling(router.grpc) as caller:
        started = time.perf_counter()
        response = await caller.complete(new_text())
        assert (response.text, response.decision.reason) == ("Hello there!", UNAVAILABLE)
        assert time.perf_counter() - started < 2
        day.triton.process.resume()
        late = Day(day.triton, day.valkey, router, caller)
        await late.until_recovered()
    assert (await fetch(f"{router.http}/readyz")).json["parts"] == {"classifier": "ok"}


@pytest.fixture
def repository(parts: Parts, tmp_path: Path) -> Path:
    """A model repository with a model of the same name and contract, which does what a prompt says."""
    model = tmp_path / "repository" / "static_head"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.py").write_text(MODEL)
    (model / "config.pbtxt").write_text((parts.model_repository / "static_head" / "config.pbtxt").read_text())
    return model.parent


async def test_a_triton_that_is_slow_or_talks_nonsense_is_told_apart(
    start_triton: StartTriton,
    start_valkey: StartValkey,
    start_router: StartRouter,
    engine_ports: Mapping[str, int],
    repository: Path,
) -> None:
    triton, valkey = await start_triton(repository=repository), await start_valkey()
    router = await start_router(
        content(engine_ports), classifier=triton.grpc_address, cache=valkey.url, settings=SETTINGS
    )
    async with calling(router.grpc) as caller:
        day = Day(triton, valkey, router, caller)
        await day.until_recovered()
        entries = await day.entries()
        for word in ("error", "nonsense"):
            for _ in range(5):  # more than would open the breaker
                text = new_text(word)
                decision = await caller.route(text, model="to-weak")
                assert (decision.reason, decision.tier) == (FAILED, "weak"), word
        assert await day.entries() == entries
        assert (await caller.route(new_text())).reason == SCORE
        slow = new_text("slow")
        response = await caller.complete(slow, model="to-strong")
        assert (response.text, response.decision.reason) == ("Hello there!", TIMED_OUT)
        assert response.summary.overhead.classify.ToTimedelta().total_seconds() < TIMEOUT + 0.5
        assert await day.entries() == entries + 1, "only what was scored"
        await day.until_recovered()
