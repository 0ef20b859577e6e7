"""The decision log of a real router: its score is the one that the caller saw, and a bad place for it harms nobody."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import psutil
import pytest

from fakes.engine import fake_engine
from fixtures.callers import calling, fetch, metric, until
from fixtures.router_process import StartRouter, direct, policies
from steersman.api.v1 import decision_pb2
from steersman.local.system import System

LINES = "steersman_decision_log_lines_total"


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


async def test_a_full_disk_costs_lines_and_nothing_else_until_there_is_room_again(
    start_router: StartRouter, engine: str, tmp_path: Path
) -> None:
    path = tmp_path / "decisions.jsonl"
    router = await start_router(
        policies(direct(engine), direct(engine)), settings={"DECISION_LOG__PATH": path}
    )
    process = psutil.Process(router.process.pid)

    async def ask_until(outcome: str) -> None:
        before = await metric(router.metrics, LINES, outcome=outcome)
        assert (await caller.complete()).text

        async def counted() -> bool:
            return await metric(router.metrics, LINES, outcome=outcome) == before + 1

        await until(counted)

    async with calling(router.grpc) as caller:
        await ask_until("written")
        process.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))  # of its own log too
        for _ in range(3):
            await ask_until("not_written")
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        await ask_until("written")
    lines = path.read_bytes().splitlines()
    assert [orjson.loads(line)["schema"] for line in lines] == ["steersman.decision/1"] * 2
