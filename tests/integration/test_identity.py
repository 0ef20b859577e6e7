"""A real router that knows its callers by the file of `steersman keys`, asked by OpenAI's own SDK and by gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import openai
import pytest

from fakes.engine import fake_engine
from fixtures.callers import calling, conversation, failure, fetch, until
from fixtures.router_process import Router, StartRouter, direct, policies
from steersman.api.v1 import router_service_pb2 as pb
from steersman.cli.__main__ import main
from steersman.identity import key_file
from steersman.identity.keys import PREFIX
from steersman.local.processes import StartFailed

TENANTS = {"search": {"policies": ["auto"]}, "mail": {"policies": [], "tiers": ["weak"]}}


@dataclass(frozen=True)
class Keys:
    """The file of keys, and the command that writes it."""

    path: Path
    capsys: pytest.CaptureFixture[str]

    def make(self, tenant: str) -> str:
        assert main(["keys", "create", "--file", str(self.path), "--tenant", tenant]) == 0
        return self.capsys.readouterr().out.strip()

    def revoke(self, text: str) -> None:
        key = key_file.parse(self.path.read_bytes()).owner(text)
        assert key is not None
        assert main(["keys", "revoke", key.id, "--file", str(self.path)]) == 0


@pytest.fixture
async def engine() -> AsyncIterator[str]:
    async with fake_engine() as each:
        yield each.url


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    return Keys(tmp_path / "keys.yaml", capsys)


async def guarded(start_router: StartRouter, engine: str, keys: Keys) -> Router:
    content = {**policies(direct(engine), direct(engine)), "tenants": TENANTS}
    return await start_router(content, settings={"IDENTITY__KEY_FILE": keys.path})


async def asked(router: Router, key: str, *, model: str = "auto") -> str:
    """The answer that OpenAI's SDK gets, or the code of its error."""
    async with openai.AsyncOpenAI(base_url=f"{router.http}/v1", api_key=key, max_retries=0) as sdk:
        try:
            answer = await sdk.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Hello"}]
            )
        except openai.APIStatusError as error:
            return str(error.code)
    return answer.choices[0].message.content or ""


async def counted(router: Router, line: str) -> bool:
    return line in (await fetch(router.metrics)).body.decode().splitlines()


async def test_each_caller_is_answered_as_its_keys_tenant_and_nobody_else_is(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    search, mail = keys.make("search"), keys.make("mail")
    router = await guarded(start_router, engine, keys)
    assert await asked(router, search) not in {"", "invalid_api_key"}
    assert await asked(router, mail) == "model_not_found"
    assert await asked(router, mail, model="weak") not in {"", "model_not_found"}
    assert await asked(router, f"{PREFIX}0000-0000") == "invalid_api_key"
    assert await counted(router, 'steersman_callers_refused_total{why="unknown"} 1.0')


async def test_the_sdk_lists_the_models_of_the_keys_tenant(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    mail = keys.make("mail")
    router = await guarded(start_router, engine, keys)
    async with openai.AsyncOpenAI(base_url=f"{router.http}/v1", api_key=mail, max_retries=0) as sdk:
        assert [model.id async for model in sdk.models.list()] == ["weak"]


async def test_a_key_is_made_and_revoked_without_a_restart(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    keys.make("search")
    router = await guarded(start_router, engine, keys)
    text = keys.make("search")

    async def works() -> bool:
        return await asked(router, text) != "invalid_api_key"

    async def works_no_more() -> bool:
        return not await works()

    await until(works)
    keys.revoke(text)
    await until(works_no_more)
    assert await counted(router, 'steersman_key_reloads_total{outcome="taken"} 2.0')


async def test_a_file_of_keys_that_is_faulty_changes_nothing(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    text = keys.make("search")
    router = await guarded(start_router, engine, keys)
    keys.path.write_text("keys: all of them\n", encoding="utf-8")

    async def refused() -> bool:
        return await counted(router, 'steersman_key_reloads_total{outcome="refused"} 1.0')

    await until(refused)
    assert await asked(router, text) != "invalid_api_key"


async def test_grpc_callers_show_their_key_as_metadata(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    text = keys.make("search")
    router = await guarded(start_router, engine, keys)
    request = pb.CompleteRequest(conversation=conversation("Hello"))
    async with calling(router.grpc) as caller:
        shown = (("authorization", f"Bearer {text}"),)
        assert (await caller.stub.Complete(request, timeout=20, metadata=shown)).text
        told = await failure(caller.stub.Complete(request, timeout=20))
    assert told.code is grpc.StatusCode.UNAUTHENTICATED


async def test_no_key_is_found_in_what_the_router_writes(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    text = keys.make("search")
    router = await guarded(start_router, engine, keys)
    assert await asked(router, text)
    assert await asked(router, text[:-1]) == "invalid_api_key"
    secret = text.rpartition("-")[2][:-1]
    assert secret not in router.process.log.read_text(encoding="utf-8")
    assert secret not in (await fetch(router.metrics)).body.decode()


async def test_a_router_without_a_file_of_keys_says_so_loudly(start_router: StartRouter, engine: str) -> None:
    router = await start_router(policies(direct(engine), direct(engine)))
    assert "callers are not told apart" in router.process.log.read_text(encoding="utf-8")


async def test_a_router_whose_file_of_keys_is_missing_does_not_start(
    start_router: StartRouter, engine: str, keys: Keys
) -> None:
    with pytest.raises(StartFailed, match=r"keys\.yaml"):
        await guarded(start_router, engine, keys)
