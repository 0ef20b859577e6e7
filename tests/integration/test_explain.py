"""Two real routers over one Redis that explain each other's decisions, and the command that asks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import orjson
import pytest

from fakes.engine import fake_engine
from fixtures.callers import calling, fetch, until
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.api.v1 import decision_service_pb2 as pb, decision_service_pb2_grpc
from steersman.cli.__main__ import main
from steersman.identity import key_file
from steersman.local.system import System


@pytest.fixture
async def engine() -> AsyncIterator[str]:
    async with fake_engine() as each:
        yield each.url


@pytest.fixture
async def replicas(
    system: System, start_router: StartRouter, engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[Sequence[Router], Sequence[str]]:
    """Two routers, and a key of each of two tenants."""
    file, keys = tmp_path / "keys.yaml", []
    for tenant in ("search", "mail"):
        assert main(["keys", "create", "--file", str(file), "--tenant", tenant]) == 0
        keys.append(capsys.readouterr().out.strip())
    assert key_file.parse(file.read_bytes()).owner(keys[0])
    routers = [
        await start_router(
            policies(direct(engine), direct(engine)),
            classifier=system.addresses.triton_grpc,
            cache=system.addresses.redis,
            settings={
                "IDENTITY__KEY_FILE": file,
                "CACHE__HMAC_KEY": "one secret for both",
                "DECISION_LOG__PATH": tmp_path / f"decisions-{number}.jsonl",
            },
        )
        for number in range(2)
    ]
    return routers, keys


async def answered(router: Router, key: str) -> str:
    """The id of the decision of an answer."""
    data = orjson.dumps(
        {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    )
    answer = await fetch(
        f"{router.http}/v1/chat/completions", data=data, headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status == 200
    return answer.headers["x-steersman-decision-id"]


async def test_any_replica_explains_a_decision_to_its_tenant_alone(
    replicas: tuple[Sequence[Router], Sequence[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one, another), (search, mail) = replicas
    decision_id = await answered(one, search)

    async def explained(*options: str, key: str = search) -> int:
        monkeypatch.setenv("STEERSMAN_API_KEY", key)
        return await asyncio.to_thread(main, ["explain", decision_id, "--url", another.http, *options])

    async def shared() -> bool:
        return await explained("--json") == 0

    await until(shared)
    capsys.readouterr()
    assert await explained("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["id"], told["rule"], told["outcome"]) == (decision_id, "BOUNDARIES", "OK")
    assert told["completion_tokens"] > 0
    assert len(told["classifier"]["artefact_digest"]) == 64
    assert await explained() == 0
    assert told["sentence"] in capsys.readouterr().out
    assert await explained(key=mail) == 1
    assert "no decision of yours" in capsys.readouterr().err
    assert await explained(key="sk-nobody") == 1


async def test_feedback_at_any_replica_is_a_line_of_its_log_that_replay_can_join(
    replicas: tuple[Sequence[Router], Sequence[str]], tmp_path: Path
) -> None:
    (one, another), (search, _) = replicas
    decision_id = await answered(one, search)
    shown = (("authorization", f"Bearer {search}"),)
    async with calling(another.grpc) as caller:
        stub = decision_service_pb2_grpc.DecisionServiceStub(caller.channel)
        explain = pb.ExplainDecisionRequest(id=decision_id)

        async def shared() -> bool:
            try:
                await stub.ExplainDecision(explain, timeout=10, metadata=shown)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return False
            return True

        await until(shared)
        await stub.SubmitFeedback(
            pb.SubmitFeedbackRequest(id=decision_id, quality=0.75), timeout=10, metadata=shown
        )
    log = tmp_path / "decisions-1.jsonl"

    async def written() -> bool:
        return log.exists() and b"feedback" in log.read_bytes()

    await until(written)
    line = orjson.loads(log.read_bytes())
    assert (line["id"], line["tenant"], line["quality"]) == (decision_id, "search", 0.75)
