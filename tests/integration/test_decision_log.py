"""The decision log of a real router: its score is the one that the caller saw, and a bad place for it harms nobody."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from fakes.engine import fake_engine
from fixtures.callers import calling, fetch, until
from fixtures.router_process import StartRouter, direct, policies
from steersman.api.v1 import decision_pb2
from steersman.local.system import System


@pytest.fixture
async def engine() -> AsyncIterator[str]:
    async with fake_engine() as each:
        yield each.url


async def test_a_line_says_what_the_caller_was_told_and_nothing_that_it_wrote(
    system: System, start_router: StartRouter, engine: str, tmp_path: Path
) -> None:
    path = tmp_path / "decisions.jsonl"
    canary = f"canary{secrets.token_hex(6)}"
    router = await start_router(
        policies(direct(engine), direct(engine)),
        classifier=system.addresses.triton_grpc,
        cache=system.addresses.redis,
        settings={"DECISION_LOG__PATH": path},
    )
    async with calling(router.grpc) as caller:
        told = (await caller.complete(f"My name is {canary}, what is yours?")).decision

        async def written() -> bool:
            return path.exists() and path.read_bytes().endswith(b"\n")

        await until(written)
    line = orjson.loads(path.read_bytes())
    assert (line["id"], line["tier"]) == (told.id, told.tier)
    assert decision_pb2.DecisionReason.Value(f"DECISION_REASON_{line['reason']}") == told.reason
    assert (line["out_of_domain"] is not None) == told.out_of_domain
    assert line["score"] == pytest.approx(told.score)
    assert line["completion_tokens"] > 0
    assert canary.encode() not in path.read_bytes()


async def test_a_log_that_cannot_be_written_is_counted_and_answers_go_on(
    start_router: StartRouter, engine: str, tmp_path: Path
) -> None:
    (tmp_path / "a-folder").mkdir()
    router = await start_router(
        policies(direct(engine), direct(engine)), settings={"DECISION_LOG__PATH": tmp_path / "a-folder"}
    )
    async with calling(router.grpc) as caller:
        for _ in range(3):
            assert (await caller.complete()).text

    async def counted() -> bool:
        lines = (await fetch(router.metrics)).body.decode().splitlines()
        return 'steersman_decision_log_lines_total{outcome="not_written"} 3.0' in lines

    await until(counted)
