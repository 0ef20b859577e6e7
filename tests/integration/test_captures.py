"""Prompts that an operator has kept: two real routers, a real Redis, and the command that reads and deletes them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from fakes.engine import fake_engine
from fixtures.callers import body, fetch, until
from fixtures.real_parts import Valkey
from fixtures.redis_entries import keys
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.calibration import decisions
from steersman.cli.__main__ import main
from steersman.identity import key_file
from steersman.labelling import queries
from steersman.local.system import System
from steersman.router.adapters.redis_captures import Held, RedisCaptures

CANARY = f"canary{secrets.token_hex(6)}"
"""Stands in every prompt of this module, and nowhere else on earth."""
CAPTURE: Mapping[str, Any] = {
    "search": {"capture": {"auto": 1.0}},
    "mail": {"capture": {"auto": 1.0}},
    "ops": {},
}


@dataclass
class Captured:
    """A router that has prompts kept, and the command line beside it."""

    router: Router
    redis: str
    folder: Path
    callers: Mapping[str, str]
    """A key by tenant."""
    capsys: pytest.CaptureFixture[str]

    async def ask(self, tenant: str, text: str = f"What does {CANARY} mean?") -> str:
        """Have a prompt answered; its decision's id."""
        answer = await fetch(
            f"{self.router.http}/v1/chat/completions",
            data=body(text, model="auto"),
            headers={"Authorization": f"Bearer {self.callers[tenant]}"},
        )
        assert answer.status == 200
        return answer.headers["x-steersman-decision-id"]

    async def holds(self, number: int) -> None:
        """Wait until so many prompts are kept."""

        async def written() -> bool:
            return sum(each.prompts for each in await self.held()) == number

        await until(written)

    async def held(self) -> list[Held]:
        async with RedisCaptures(self.redis, timeout=5.0) as store:
            return await store.held()

    async def command(self, action: str, *options: object, status: int = 0) -> str:
        """What `steersman captures` says, on standard output or, where it fails, of its failure."""
        given = ["captures", action, *map(str, options)]
        if action != "rotate":
            given += ["--redis", self.redis]
        self.capsys.readouterr()
        assert await asyncio.to_thread(main, given) == status
        said = self.capsys.readouterr()
        return said.err if status or action == "delete" else said.out

    @property
    def keys(self) -> Path:
        return self.folder / "capture-keys.yaml"

    async def exported(self, *options: str) -> list[dict[str, Any]]:
        out = self.folder / f"{secrets.token_hex(4)}.jsonl"
        await self.command("export", "--key-file", self.keys, "--out", out, *options)
        assert out.stat().st_mode & 0o777 == 0o600
        return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture(autouse=True)
async def raw(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.from_url(valkey.url) as client:
        await client.flushdb()
        yield client
        await client.flushdb()


@pytest.fixture
async def captured(
    system: System,
    valkey: Valkey,
    start_router: StartRouter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Captured]:
    callers, file = {}, tmp_path / "keys.yaml"
    for tenant in CAPTURE:
        assert main(["keys", "create", "--file", str(file), "--tenant", tenant]) == 0
        callers[tenant] = capsys.readouterr().out.strip()
    assert main(["captures", "rotate", "--key-file", str(tmp_path / "capture-keys.yaml")]) == 0
    async with fake_engine() as engine:
        router = await start_router(
            {**policies(direct(engine.url), direct(engine.url)), "tenants": CAPTURE},
            classifier=system.addresses.triton_grpc,
            cache=valkey.url,
            settings={"IDENTITY__KEY_FILE": file, "CAPTURE__KEY_FILE": tmp_path / "capture-keys.yaml"},
        )
        yield Captured(router, valkey.url, tmp_path, callers, capsys)


async def dump(client: redis.asyncio.Redis) -> bytes:
    """All keys, all values, and all that stands in the hashes of captured prompts."""
    names = await keys(client, "*")
    kept = [await client.hgetall(key) for key in names if b":capture:" in key]
    return repr((names, [await client.dump(key) for key in names], kept)).encode()


async def test_a_kept_prompt_can_be_read_with_the_key_and_serves_label_and_calibrate(
    captured: Captured,
) -> None:
    decision_id = await captured.ask("search")
    await captured.holds(1)
    (line,) = await captured.exported()
    assert (line["id"], line["tenant"], line["policy"]) == (decision_id, "search", "auto")
    assert line["messages"] == [{"role": "user", "content": f"What does {CANARY} mean?"}]
    (file,) = captured.folder.glob("*.jsonl")
    (query,) = queries.read([file])
    assert CANARY in query.text
    (logged,) = decisions.read([file])
    assert (logged.id, logged.weight) == (decision_id, 1.0)
    assert logged.scored


async def test_nothing_of_it_is_readable_in_redis_in_the_log_or_in_the_metrics(
    captured: Captured, raw: redis.asyncio.Redis
) -> None:
    await captured.ask("search")
    await captured.holds(1)
    assert b"steersman:capture:1:search:" in await dump(raw)
    for place in (
        await dump(raw),
        captured.router.process.log.read_bytes(),
        (await fetch(captured.router.metrics)).body,
        (await captured.command("list")).encode(),
    ):
        assert place
        assert CANARY.encode() not in place
    counted = (await fetch(captured.router.metrics)).body
    assert b'steersman_captures_total{outcome="written"} 1.0' in counted


async def test_of_a_tenant_that_has_no_rate_nothing_is_kept(
    captured: Captured, raw: redis.asyncio.Redis
) -> None:
    await captured.ask("ops")
    await captured.ask("search")
    await captured.holds(1)
    assert {each.tenant for each in await captured.held()} == {"search"}
    assert len(await keys(raw, "steersman:capture:*")) == 1


async def test_another_key_reads_nothing_and_says_why(captured: Captured, tmp_path: Path) -> None:
    await captured.ask("search")
    await captured.holds(1)
    other = tmp_path / "other.yaml"
    await captured.command("rotate", "--key-file", other)
    out = tmp_path / "out.jsonl"
    said = await captured.command("export", "--key-file", other, "--out", out, status=1)
    assert "was sealed with key" in said
    assert "not in the key file" in said
    assert not out.exists()


async def test_a_record_that_was_moved_to_another_tenant_does_not_open(
    captured: Captured, raw: redis.asyncio.Redis
) -> None:
    await captured.ask("search")
    await captured.holds(1)
    (key,) = await keys(raw, "steersman:capture:*")
    await raw.copy(key.decode(), key.decode().replace("search", "mail"))
    said = await captured.command("export", "--key-file", captured.keys, "--tenant", "mail", status=1)
    assert "belongs to another tenant" in said
    assert CANARY not in said
    assert len(await captured.exported("--tenant", "search")) == 1


async def test_a_key_that_was_rotated_seals_without_a_restart_and_both_can_be_read(
    captured: Captured,
) -> None:
    await captured.ask("search")
    await captured.holds(1)
    await captured.command("rotate", "--key-file", captured.keys)

    async def taken() -> bool:
        text = (await fetch(captured.router.metrics)).body
        return b'steersman_capture_key_reloads_total{outcome="taken"} 1.0' in text

    await until(taken)
    await captured.ask("search", f"And {CANARY}?")
    await captured.holds(2)
    assert len(await captured.exported()) == 2


async def test_a_callers_and_a_tenants_prompts_are_deleted_and_no_others(captured: Captured) -> None:
    ring = key_file.parse((captured.folder / "keys.yaml").read_bytes())
    owner = ring.owner(captured.callers["search"])
    assert owner is not None
    for tenant in ("search", "mail"):
        await captured.ask(tenant)
    await captured.holds(2)
    assert "0 prompts" in await captured.command("delete", "--tenant", "mail", "--caller", owner.id)
    assert "1 prompts" in await captured.command("delete", "--caller", owner.id)
    assert [each.tenant for each in await captured.held()] == ["mail"]
    assert "1 prompts" in await captured.command("delete", "--tenant", "mail")
    assert await captured.held() == []
    assert "say whose" in await captured.command("delete", status=1)


async def test_a_rate_that_is_taken_away_ends_it_without_a_restart(captured: Captured) -> None:
    async with fake_engine() as engine:
        none: dict[str, Any] = {tenant: {} for tenant in CAPTURE}
        captured.router.write_policies({**policies(direct(engine.url), direct(engine.url)), "tenants": none})

        async def taken() -> bool:
            text = (await fetch(captured.router.metrics)).body
            return b'steersman_policy_reloads_total{outcome="taken"} 1.0' in text

        await until(taken)
        await captured.ask("search")
    assert b"steersman_captures_total{" not in (await fetch(captured.router.metrics)).body


async def test_without_a_key_file_nothing_is_kept_whatever_the_policy_file_says(
    system: System, valkey: Valkey, raw: redis.asyncio.Redis, start_router: StartRouter
) -> None:
    async with fake_engine() as engine:
        router = await start_router(
            {
                **policies(direct(engine.url), direct(engine.url)),
                "tenants": {"default": {"capture": {"auto": 1.0}}},
            },
            classifier=system.addresses.triton_grpc,
            cache=valkey.url,
        )
        answer = await fetch(f"{router.http}/v1/chat/completions", data=body(CANARY, model="auto"))
        assert answer.status == 200

        async def decided() -> bool:
            return bool(await keys(raw, "steersman:decision:*"))

        await until(decided)
        assert b'steersman_captures_total{outcome="no_key"} 1.0' in (await fetch(router.metrics)).body
    assert not await keys(raw, "steersman:capture:*")
