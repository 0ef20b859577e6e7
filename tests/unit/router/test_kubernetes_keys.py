"""API keys in a Secret, from the Kubernetes API to the callers that have them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from fakes.kubernetes import GONE, FakeKubernetes
from steersman.identity import key_file
from steersman.identity.keys import ApiKey, Keyring, make
from steersman.router.adapters.kubernetes_keys import KeysSecret
from steersman.runtime.kubernetes.api import Resource

SECRETS = Resource("", "v1", "secrets")
_, ONE = make("search", created=datetime(2026, 11, 24, tzinfo=UTC))
_, TWO = make("mail", created=datetime(2026, 11, 24, tzinfo=UTC))


class World:
    """What is taken of the Secret `keys` of a fake API."""

    def __init__(self) -> None:
        self.api = FakeKubernetes(SECRETS)
        self.reloads: list[str] = []
        self._taken: asyncio.Queue[Keyring] = asyncio.Queue()
        self._refused: asyncio.Queue[str] = asyncio.Queue()
        self.reflector = KeysSecret("keys", "keys.yaml", self._taken.put, self._count).reflector(
            self.api, self.api.namespace, lambda _: None
        )

    def _count(self, outcome: str) -> None:
        self.reloads.append(outcome)
        if outcome == "refused":
            self._refused.put_nowait(outcome)

    def put(self, *keys: ApiKey, name: str = "keys") -> None:
        self.put_text(key_file.render(keys), name=name)

    def put_text(self, text: bytes, *, name: str = "keys", entry: str = "keys.yaml") -> None:
        self.api.put_content(name, {"data": {entry: base64.b64encode(text).decode()}})

    async def next(self) -> Keyring:
        async with asyncio.timeout(5):
            return await self._taken.get()

    async def refused(self) -> None:
        async with asyncio.timeout(5):
            await self._refused.get()

    @property
    def nothing_more(self) -> bool:
        return self._taken.empty()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.put(ONE)
    task = asyncio.create_task(world.reflector.follow())
    yield world
    task.cancel()


async def test_keys_are_taken_at_once_and_at_each_change(world: World) -> None:
    assert (await world.next()).keys == (ONE,)
    world.put(ONE, TWO)
    assert (await world.next()).keys == (ONE, TWO)
    assert world.reloads == ["taken", "taken"]


async def test_what_is_refused_or_gone_changes_nothing(world: World) -> None:
    await world.next()
    world.put_text(b"keys: all of them")
    await world.refused()
    world.api.remove("keys")
    world.put_text(b"", entry="another.yaml")
    world.put(TWO)
    assert (await world.next()).keys == (TWO,)
    assert world.reloads == ["taken", "refused", "taken"]


async def test_other_secrets_and_other_changes_of_the_same_are_nothing_new(world: World) -> None:
    await world.next()
    world.put(TWO, name="another")
    world.put(ONE)
    world.put(ONE, TWO)
    assert (await world.next()).keys == (ONE, TWO)
    assert world.nothing_more


async def test_while_the_api_server_is_away_the_keys_stay(world: World) -> None:
    await world.next()
    world.api.fail(GONE)
    world.put(TWO)
    world.api.fail(None)
    assert (await world.next()).keys == (TWO,)
