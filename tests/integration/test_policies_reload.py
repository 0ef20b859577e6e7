"""The policy file changes under a running router: taken as a whole or refused as a whole, and never by a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
import yaml

from fakes.engine import fake_engine
from fixtures.callers import Caller, calling, failure, fetch, metric, responses, until
from fixtures.router_process import TIERS, Router, RouterStarter, direct, policies
from steersman.api.v1 import decision_pb2
from steersman.local.parts import Parts
from steersman.local.ports import Ports
from steersman.local.system import System

TEXT = "Explain how a transformer attends to its input, in one paragraph."


pytestmark = pytest.mark.usefixtures("engines")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    parts: Parts,
    ports: Ports,
    tmp_path_factory: pytest.TempPathFactory,
    engine_ports: Mapping[str, int],
    system: System,
) -> AsyncIterator[Router]:
    """This module's own, since its policies change."""
    starter = RouterStarter(parts, ports, tmp_path_factory.mktemp("reload"))
    yield await starter.start(
        _content(engine_ports), classifier=system.addresses.triton_grpc, cache=system.addresses.redis
    )
    await starter.close()


@pytest.fixture
def content(engine_ports: Mapping[str, int]) -> dict[str, Any]:
    """What every test begins with, to be changed."""
    return _content(engine_ports)


def _content(engine_ports: Mapping[str, int]) -> dict[str, Any]:
    weak, strong = (direct(f"http://127.0.0.1:{engine_ports[tier]}") for tier in TIERS)
    return policies(weak, strong)


@pytest.fixture
async def router(shared: Router, content: dict[str, Any]) -> Router:
    """The router with its first policies, whatever the test before has left."""
    if yaml.safe_load(shared.policy_file.read_text() if shared.policy_file.exists() else "") != content:
        await change(shared, content, "taken")
    return shared


@pytest.fixture
async def caller(router: Router) -> AsyncIterator[Caller]:
    async with calling(router.grpc) as caller:
        yield caller


async def change(router: Router, content: Mapping[str, Any] | str, outcome: str) -> None:
    """Write the file, and wait until the router has taken or refused it."""

    async def reloads() -> float:
        return await metric(router.metrics, "steersman_policy_reloads_total", outcome=outcome)

    before = await reloads()
    if isinstance(content, str):
        router.policy_file.write_text(content)
    else:
        router.write_policies(content)

    async def noticed() -> bool:
        return await reloads() > before

    await until(noticed)


async def models(router: Router) -> list[str]:
    return [each["id"] for each in (await fetch(f"{router.http}/v1/models")).json["data"]]


async def test_a_changed_threshold_takes_effect_at_once_even_for_scores_that_are_cached(
    router: Router, caller: Caller, content: dict[str, Any]
) -> None:
    pid = router.process.pid
    before = await caller.route(TEXT)
    assert before.cache == decision_pb2.CACHE_STATE_MISS
    for threshold, tier in ((0.0, "strong"), (1.0, "weak")):
        content["policies"]["auto"]["threshold"] = threshold
        await change(router, content, "taken")
        decision = await caller.route(TEXT)
        assert (decision.tier, list(decision.boundaries)) == (tier, [threshold])
        assert (decision.cache, decision.score) == (decision_pb2.CACHE_STATE_L1_HIT, before.score)
        assert decision.policy_version != before.policy_version
    assert (router.process.pid, router.process.running) == (pid, True)


UNKNOWN = {"policies": {"auto": {"tiers": ["weak", "ghost"], "threshold": 0.5}}}
INVALID: dict[str, str | dict[str, Any]] = {
    "unknown default": {"default_policy": "nobody"},
    "unknown tier": UNKNOWN,
    "out of range": {"policies": {"auto": {"tiers": ["weak", "strong"], "threshold": 1.5}}},
    "misspelt": {"policies": {"auto": {"tiers": ["weak", "strong"], "treshold": 0.5}}},
    "name taken": {"policies": {"weak": {"tiers": ["weak"]}}, "default_policy": "weak"},
    "not YAML": "{",
    "not text": "\x00\x01",
    "empty": "",
    "code": "!!python/object/apply:os.getpid []",
}


async def test_an_invalid_file_is_refused_as_a_whole_and_counted_and_the_old_one_stays(
    router: Router, caller: Caller, content: dict[str, Any], subtests: pytest.Subtests
) -> None:
    before = await caller.route(TEXT)
    # The new tier is fine in itself, and must not appear either.
    more = {**content, "tiers": {**content["tiers"], "new": content["tiers"]["weak"]}}
    for fault, broken in INVALID.items():
        with subtests.test(fault):
            await change(router, broken if isinstance(broken, str) else {**more, **broken}, "refused")
            assert await models(router) == ["auto", "weak", "strong"]
            assert (await caller.route(TEXT)).policy_version == before.policy_version
    assert b"ghost" in router.process.log.read_bytes(), "the log says what was wrong"
    content["policies"]["auto"]["threshold"] = 0.0
    await change(router, content, "taken")
    assert (await caller.route(TEXT)).tier == "strong"


async def test_a_file_that_is_gone_leaves_the_old_one_in_force(
    router: Router, caller: Caller, content: dict[str, Any]
) -> None:
    router.policy_file.unlink()

    async def noticed() -> bool:
        return b"policy file cannot be read" in router.process.log.read_bytes()

    await until(noticed)
    assert (await caller.complete()).text == "Hello there!"
    router.write_policies(content)


async def test_a_new_tier_and_a_new_policy_appear(
    router: Router, caller: Caller, content: dict[str, Any]
) -> None:
    async with fake_engine(tokens=["I", " am", " new"]) as newcomer:
        content["tiers"]["new"] = direct(newcomer.url, model="new-model")
        content["policies"]["three"] = {"tiers": ["weak", "strong", "new"], "boundaries": [0.0, 0.0]}
        await change(router, content, "taken")
        assert await models(router) == ["auto", "three", "weak", "strong", "new"]
        for model in ("new", "three", "new-model"):
            response = await caller.complete(model=model)
            assert (response.text, response.decision.tier) == ("I am new", "new")
        assert newcomer.seen[0].json["model"] == "new-model"


async def test_a_tier_that_is_removed_finishes_its_streams_and_is_known_no_more(
    router: Router, caller: Caller, content: dict[str, Any]
) -> None:
    async with fake_engine(hold_after=2) as leaver:
        content["tiers"]["leaver"] = direct(leaver.url)
        await change(router, content, "taken")
        stream = caller.chat(model="leaver")
        assert (await stream.read()).decision.tier == "leaver"
        del content["tiers"]["leaver"]
        await change(router, content, "taken")
        assert (await failure(caller.route(model="leaver"))).reason == "UNKNOWN_MODEL"
        leaver.release()
        rest = await responses(stream)
        assert rest[-1].HasField("summary")
    assert (await caller.complete()).text == "Hello there!"


async def test_requests_go_on_while_the_file_keeps_changing(
    router: Router, caller: Caller, content: dict[str, Any]
) -> None:
    changing = asyncio.create_task(_keep_changing(router, content))
    answers = []
    while not changing.done():
        answers.append(await caller.complete())
    await changing
    assert {answer.text for answer in answers} == {"Hello there!"}
    assert len({answer.decision.policy_version for answer in answers}) >= 2


async def _keep_changing(router: Router, content: dict[str, Any]) -> None:
    for threshold in (0.1, 0.9):
        content["policies"]["auto"]["threshold"] = threshold
        await change(router, content, "taken")
