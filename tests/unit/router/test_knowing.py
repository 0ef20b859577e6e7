"""How callers are known, as the settings have it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes.issuer import NAME as ISSUER, a_key, fake_issuer, signed
from fakes.kubernetes import GONE, FakeKubernetes
from fakes.reviewer import a_token
from steersman.identity import key_file
from steersman.identity.keys import ApiKey, make
from steersman.identity.shown import Shown
from steersman.router.callers import Anybody, Callers
from steersman.router.cluster import Cluster
from steersman.router.knowing import known_callers
from steersman.router.metrics import RouterMetrics
from steersman.router.model import Caller
from steersman.router.settings import Identity, Kubernetes
from steersman.runtime.errors import Unauthenticated
from steersman.runtime.kubernetes.api import Resource
from steersman.runtime.kubernetes.metrics import KubernetesMetrics
from steersman.runtime.metrics import ProcessMetrics
from steersman.runtime.tasks import BackgroundTasks

NAME = "keys"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
FILED_TEXT, FILED = make("filed", created=NOW)
SECRET_TEXT, SECRET = make("secret", created=NOW)
FILED_CALLER, SECRET_CALLER = Caller("filed", FILED.id), Caller("secret", SECRET.id)


@dataclass
class World:
    """A router's place in a cluster whose API is a fake."""

    folder: Path
    stack: AsyncExitStack
    tasks: BackgroundTasks
    api: FakeKubernetes = field(default_factory=lambda: FakeKubernetes(Resource("", "v1", "secrets")))

    def file(self, *keys: ApiKey) -> Path:
        path = self.folder / "keys.yaml"
        path.write_bytes(key_file.render(keys))
        return path

    def put(self, *keys: ApiKey) -> None:
        data = {"keys.yaml": base64.b64encode(key_file.render(keys)).decode()}
        self.api.put_content(NAME, {"data": data})

    async def callers(self, **settings: object) -> Callers:
        process = ProcessMetrics()
        where = Kubernetes(namespace=self.api.namespace, start_seconds=0.2)
        here = Cluster(self.api, where, self.tasks, KubernetesMetrics(process.registry))
        return await known_callers(
            self.stack, here, Identity.model_validate(settings), RouterMetrics(process)
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack, BackgroundTasks() as tasks:
        yield World(tmp_path, stack, tasks)


async def known(callers: Callers, text: str) -> Caller | None:
    try:
        return await callers.identify(Shown(f"Bearer {text}"))
    except Unauthenticated:
        return None


async def until_known(callers: Callers, text: str, caller: Caller | None) -> None:
    async with asyncio.timeout(5):
        while await known(callers, text) != caller:  # noqa: ASYNC110 - callers tell nobody who becomes known
            await asyncio.sleep(0.01)


async def test_without_settings_callers_are_not_told_apart(world: World) -> None:
    assert isinstance(await world.callers(), Anybody)


async def test_keys_of_a_secret_are_known_from_the_start_and_a_change_takes_effect_at_once(
    world: World,
) -> None:
    world.put(SECRET)
    callers = await world.callers(keys_secret=NAME)
    assert await known(callers, SECRET_TEXT) == SECRET_CALLER
    world.put()
    await until_known(callers, SECRET_TEXT, None)


async def test_where_the_secret_cannot_be_had_nobody_is_known_without_a_file(world: World) -> None:
    world.api.fail(GONE)
    callers = await world.callers(keys_secret=NAME)
    assert await known(callers, SECRET_TEXT) is None


async def test_the_file_counts_until_the_secret_that_it_is_a_copy_of_is_heard(world: World) -> None:
    world.api.fail(GONE)
    callers = await world.callers(key_file=world.file(FILED), keys_secret=NAME)
    assert await known(callers, FILED_TEXT) == FILED_CALLER
    world.put(SECRET)
    world.api.fail(None)
    await until_known(callers, SECRET_TEXT, SECRET_CALLER)
    assert await known(callers, FILED_TEXT) is None


async def test_a_file_that_comes_late_brings_no_revoked_key_back(world: World) -> None:
    world.put(SECRET)
    callers = await world.callers(key_file=world.file(SECRET), keys_secret=NAME)
    world.file(SECRET, FILED)
    await asyncio.sleep(1.5)  # the file is looked at each second, and nothing tells that it was
    assert await known(callers, FILED_TEXT) is None
    assert await known(callers, SECRET_TEXT) == SECRET_CALLER


async def test_tokens_are_known_beside_keys(world: World) -> None:
    token = a_token()
    world.api.users[token] = "system:serviceaccount:search:web"
    rules = {"rules": [{"namespace": "search"}]}
    callers = await world.callers(key_file=world.file(FILED), service_accounts=rules)
    assert await known(callers, token) == Caller("search", "search/web")
    assert await known(callers, FILED_TEXT) == FILED_CALLER
    assert await known(callers, a_token(name="another")) is None


async def test_the_keys_of_an_issuer_stand_in_for_the_api_server(world: World) -> None:
    async with fake_issuer() as issuer:
        accounts = {
            "rules": [{"namespace": "models", "tenant": "search"}],
            "issuer": {"name": ISSUER, "keys_url": issuer.url},
        }
        callers = await world.callers(service_accounts=accounts)
        assert await known(callers, signed()) == Caller("search", "models/caller")
        assert await known(callers, signed(sub="system:serviceaccount:other:caller")) is None
        assert await known(callers, signed(key=a_key("stranger"))) is None
    assert not world.api.asked


def test_keys_that_come_in_the_clear_are_refused() -> None:
    with pytest.raises(ValueError, match="must begin with https"):
        Identity.model_validate(
            {"service_accounts": {"issuer": {"name": ISSUER, "keys_url": "http://example.com/jwks"}}}
        )


@pytest.mark.parametrize(
    "rule",
    [{"namespace": "Search"}, {"namespace": "s", "name": "[ab]"}, {"namespace": "s", "tenant": "A b"}],
)
def test_a_rule_that_could_never_be_meant_is_refused(rule: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        Identity.model_validate({"service_accounts": {"rules": [rule]}})
